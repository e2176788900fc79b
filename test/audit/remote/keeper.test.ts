import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Keeper } from '../../../src/audit/remote/keeper.ts';
import { utf8 } from '../../../src/core/bytes.ts';
import { temporaryFolder } from '../ground.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

test('every history that contradicts the mirror is put aside, each once', async () => {
  const keeper = await Keeper.open(folder.path);
  keeper.keep('v1/audit/rounds/001', utf8('first'));
  await keeper.flush();
  // At once, and again in another audit.
  for (const fork of ['second', 'third', 'second', 'third']) keeper.keep('v1/audit/rounds/001', utf8(fork));
  await keeper.flush();
  const later = await Keeper.open(folder.path);
  for (const fork of ['fourth', 'second', 'third']) later.keep('v1/audit/rounds/001', utf8(fork));
  await later.flush();

  const aside = join(folder.path, 'conflicting/v1/audit/rounds');
  expect(readdirSync(aside).sort()).toEqual(['001', '001.2', '001.3']);
  const kept = ['001', '001.2', '001.3'].map((name) => readFileSync(join(aside, name), 'utf8'));
  expect(kept.sort()).toEqual(['fourth', 'second', 'third']);
  expect(readFileSync(join(folder.path, 'v1/audit/rounds/001'), 'utf8')).toBe('first');
});

test('few large files fill what may wait, as many small ones do', async () => {
  const keeper = await Keeper.open(folder.path);
  const large = new Uint8Array(16 << 20);
  for (let n = 0; n < 4; n++) keeper.keep(`large/${n}`, large);
  await keeper.settled();
  const written = [0, 1, 2, 3].filter((n) => existsSync(join(folder.path, 'large', String(n))));
  expect(written.length).toBeGreaterThanOrEqual(3);
  await keeper.flush();
});
