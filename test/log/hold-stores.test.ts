// Where holds are kept beside the database.

import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Hold, type HoldStore, holdText, parseHold } from '../../src/log/outside/hold.ts';
import { HoldFiles } from '../../src/log/outside/hold-files.ts';
import { HoldRedis } from '../../src/log/outside/hold-redis.ts';
import { redisMissing, type TestRedis, testRedis } from '../support/redis.ts';

let folder: string;
let redis: TestRedis | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-holds-'));
  if (redisMissing === null) redis = await testRedis();
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

const hold = (n: number): Hold => ({
  id: `hold_${String(n).padStart(32, '0')}`,
  log: 'log.example.org/logs/any',
  since: null,
  until: 5 + n,
  reason: 'für später, "case 4711"',
  addedAt: n,
});

const STORES: { name: string; open: () => HoldStore }[] = [
  { name: 'files', open: () => new HoldFiles(join(folder, 'guard')) },
  ...(redisMissing === null ? [{ name: 'Redis', open: () => new HoldRedis(redis?.url ?? '', 'antequem-test') }] : []),
];

test.each(STORES)('holds in $name are there until they are removed, whoever opens the store', async ({ open }) => {
  const [here, there] = [open(), open()];
  expect(await here.all()).toEqual([]);
  await here.remove(hold(1).id);
  await Promise.all([here.put(hold(1)), there.put(hold(2)), there.put(hold(1))]);
  expect(await here.all()).toEqual([hold(1), hold(2)]);
  await there.remove(hold(1).id);
  expect(await here.all()).toEqual([hold(2)]);
  await Promise.all([here.close(), there.close()]);
});

describe('a hold in files', () => {
  test('is one file, which only the user of the service reads', async () => {
    const store = new HoldFiles(join(folder, 'one'));
    await store.put(hold(1));
    expect(await readdir(join(folder, 'one.holds'))).toEqual([`${hold(1).id}.json`]);
    expect((await stat(join(folder, 'one.holds', `${hold(1).id}.json`))).mode & 0o777).toBe(0o600);
  });

  test('that was altered is never passed over', async () => {
    const store = new HoldFiles(join(folder, 'altered'));
    await store.put(hold(3));
    await writeFile(join(folder, 'altered.holds', `${hold(3).id}.json`), holdText(hold(3)).replace('4711', '4712'));
    await expect(store.all()).rejects.toMatchObject({ code: 'guard-unavailable' });
  });

  test('in a folder that cannot be read is an error, not none', async () => {
    await writeFile(join(folder, 'file.holds'), '');
    await expect(new HoldFiles(join(folder, 'file')).all()).rejects.toMatchObject({ code: 'guard-unavailable' });
  });
});

test('a hold reads back as it was written, and nothing else does', () => {
  expect(parseHold(holdText(hold(4)), 'here')).toEqual(hold(4));
  for (const text of ['', '{}', holdText(hold(4)).slice(1), `${holdText(hold(4))} `.replace('4711', '')]) {
    expect(() => parseHold(text, 'here')).toThrow(expect.objectContaining({ code: 'guard-unavailable' }));
  }
});
