import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lookAround, rotationMark } from '../../src/cli/follow/rotation.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotation-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

test.each([
  ['app.log.1', '1'],
  ['app.log-20260131', '20260131'],
  ['app.log.2026-01-31T00:00:00Z', '2026-01-31T00:00:00Z'],
  ['app-20260131.log', '20260131'],
  ['app.2.log', '2'],
  ['app.log', null],
  ['app.log.1.gz', null],
  ['app.log.bak', null],
  ['other.log.1', null],
  ['appXlog.1', null],
])('%s', (name, mark) => {
  expect(rotationMark('app.log', name)).toBe(mark);
});

async function order(...files: string[]): Promise<string[]> {
  for (const [i, file] of ['app.log', ...files].entries()) {
    await writeFile(join(folder, file), 'x');
    await utimes(join(folder, file), 1000 + i, 1000 + i);
  }
  return (await lookAround(join(folder, 'app.log'))).rotated.map(({ path }) => basename(path));
}

test('numbers count back from the youngest, whatever the times of the files', async () => {
  expect(await order('app.log.10', 'app.log.9', 'app.log.1', 'app.log.2')).toEqual([
    'app.log.10',
    'app.log.9',
    'app.log.2',
    'app.log.1',
  ]);
});

test('dates and other suffixes are ordered by the time of the last write', async () => {
  expect(await order('app.log-20260130', 'app.log-20260131')).toEqual(['app.log-20260130', 'app.log-20260131']);
});
