// A process is killed while it puts runs of the digest index together; nothing is lost or doubled, and the next one goes on.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scanIndex } from '../../src/log/digest-index.ts';
import { makeRuns } from '../../src/log/digest-runs.ts';
import { auditDatabase } from '../support/audit.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { message } from '../support/service-child.ts';

const KILLS = 10;
const RUNS = 64;
const RUN_ENTRIES = 1_000;
/** Milliseconds that a process works before it is killed at the latest. */
const LIFE_MS = 300;

let database: TestDatabase;
let one: Instance;

beforeAll(async () => {
  database = await testDatabase();
  one = await openInstance(database.url);
});

afterAll(async () => {
  await one?.end();
  await database?.drop();
});

async function rowsAbove(): Promise<number> {
  const { rows } = await one.database.query<{ count: number }>('SELECT count(*) FROM digest_runs');
  return rows[0]?.count ?? 0;
}

/** How often the index has each entry of a log: the least, and all together. */
async function counted(log: number): Promise<{ least: number; all: number }> {
  const times = new Uint8Array(RUNS * RUN_ENTRIES);
  await scanIndex(one.database, (id, index) => {
    if (id === log) times[index] = (times[index] ?? 0) + 1;
  });
  return { least: times.reduce((a, b) => Math.min(a, b)), all: times.reduce((a, b) => a + b, 0) };
}

test(`killed ${KILLS} times while runs are put together: each digest is there once`, async () => {
  const log = await one.makeLog('killed');
  for (let run = 0; run < RUNS; run++) {
    await one.appender.append(log, { drafts: drafts(RUN_ENTRIES, `line ${run}`), idempotency: null });
    await makeRuns(one.database, 1);
  }
  const eachOnce = { least: 1, all: RUNS * RUN_ENTRIES };
  const before = await rowsAbove();
  const left: number[] = [];
  const start = () => fork(new URL('../support/merging-process.ts', import.meta.url), [database.url]);
  for (let kill = 0; kill < KILLS; kill++) {
    const child = start();
    expect(await message(child)).toBe('merging');
    await sleep(Math.random() * LIFE_MS);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    expect(await counted(log.id)).toEqual(eachOnce);
    left.push(await rowsAbove());
  }
  expect(left.some((rows) => rows < before)).toBe(true);
  const last = start();
  expect([await message(last), await message(last)]).toEqual(['merging', 'merged']);
  await once(last, 'exit');
  expect(await rowsAbove()).toBeLessThan(16 * 256);
  expect(await counted(log.id)).toEqual(eachOnce);
  expect((await auditDatabase(database.url)).findings).toEqual([]);
});
