import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holdData } from '../../scripts/local/holder.ts';
import { findProcess } from '../../scripts/local/process-table.ts';

let dataDir = '';
const now = () => new Date('2026-01-02T03:04:05.678Z');

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antequem-holder-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

it('names process, time and URL of the one who holds the data', async () => {
  const holder = await holdData(dataDir, now);
  await expect(holdData(dataDir, now)).rejects.toMatchObject({ code: 'data-held' });
  holder.announce('http://127.0.0.1:1234');
  await expect(holdData(dataDir, now)).rejects.toThrow(
    `process ${process.pid} has held it since 2026-01-02T03:04:05.678Z and answers at http://127.0.0.1:1234`,
  );
  for (const name of readdirSync(dataDir)) expect(statSync(join(dataDir, name)).mode & 0o777).toBe(0o600);
  holder.release();
  (await holdData(dataDir, now)).release();
  expect(readdirSync(dataDir)).toEqual([]);
});

it('never lets two in that come at once', async () => {
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => holdData(dataDir, now)));
  const won = results.filter((result) => result.status === 'fulfilled');
  expect(won.length).toBeLessThanOrEqual(1);
  for (const { value } of won) value.release();
  expect(readdirSync(dataDir)).toEqual([]);
});

it.each([
  ['of a process that is gone', { pid: 2 ** 30, started: 'x' }],
  [
    'of a process whose id another one bears now',
    { pid: process.pid, started: `${findProcess(process.pid)?.started}0` },
  ],
])('passes over the claim %s', async (_name, identity) => {
  writeFileSync(
    join(dataDir, 'holder-0000000000000000.json'),
    JSON.stringify({ ...identity, since: 'long ago', url: null }),
  );
  const holder = await holdData(dataDir, now);
  expect(readdirSync(dataDir)).toHaveLength(1);
  holder.release();
});

it('passes over a claim that was cut short', async () => {
  writeFileSync(join(dataDir, 'holder-0000000000000000.json'), '{"pid":');
  (await holdData(dataDir, now)).release();
  expect(readdirSync(dataDir)).toEqual([]);
});
