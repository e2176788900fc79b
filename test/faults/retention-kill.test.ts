// A process is killed at each moment of a run of retention; the next one goes on.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DIGEST_RUNS_LOCK } from '../../src/log/digest-runs.ts';
import type { Log } from '../../src/log/log.ts';
import { setRetention } from '../../src/log/retention.ts';
import { openDatabase } from '../../src/store/database.ts';
import { takeLock } from '../../src/store/service-name.ts';
import { auditDatabase } from '../support/audit.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';
import { message } from '../support/service-child.ts';

/** More than one transaction erases. */
const ENTRIES = 20_000;
const FIRST_STEP = 16_384;

let database: TestDatabase;
let one: Instance;
let log: Log;

beforeAll(async () => {
  database = await testDatabase();
  one = await openInstance(database.url);
  log = await one.makeLog('killed');
  await one.appender.append(log, { drafts: drafts(ENTRIES), idempotency: null });
  const before = one.clock.now();
  while (one.clock.now() <= before + 1);
  await setRetention({ database: one.database, system: one.registry.system, sequencing: one.sequencing }, log, 1);
});

afterAll(async () => {
  await one?.end();
  await database?.drop();
});

const start = (): ChildProcess => fork(new URL('../support/retention-process.ts', import.meta.url), [database.url]);

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
}

/** A transaction that is in the way, until it is ended. */
async function inTheWay(work: (tx: Instance['database']) => Promise<unknown>): Promise<() => Promise<void>> {
  const session = openDatabase(database.url, { connections: 1 });
  await session.query('BEGIN');
  await work(session);
  return () => session.end();
}

const lockLog = (session: Instance['database']) =>
  session.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log.id]);

/** Waits until so many sessions wait for a lock. */
async function untilWaiting(count: number): Promise<void> {
  const waiting = async (): Promise<number | undefined> => {
    const { rows } = await one.database.query<{ count: number }>(
      `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows[0]?.count;
  };
  await expect.poll(waiting, { timeout: 30_000, interval: 20 }).toBe(count);
}

/** What is erased and what is named and there, by the audit, once no session of a killed process is left. */
async function standsAt(expected: { byRetention: number; open: number }): Promise<void> {
  await untilWaiting(0);
  const { findings, result } = await auditDatabase(database.url);
  expect({ findings, contents: result.contents }).toMatchObject({ findings: [], contents: expected });
}

test('nothing is gone without a record, and what is named is erased in the end', async () => {
  const before = await recompute(one.database, log);
  // After the act, before the blocks are stored.
  let release = await inTheWay(lockLog);
  let child = start();
  await untilWaiting(1);
  await kill(child);
  await release();
  await standsAt({ byRetention: 0, open: ENTRIES });

  // The same, in the next process, before it forgets digests.
  release = await inTheWay((session) => takeLock(session, DIGEST_RUNS_LOCK));
  child = start();
  await untilWaiting(1);
  await kill(child);
  await release();
  await standsAt({ byRetention: 0, open: ENTRIES });

  // Between two of them.
  release = await inTheWay(lockLog);
  child = start();
  await untilWaiting(1);
  let releaseHolds = async (): Promise<void> => {};
  const locked = inTheWay((session) => one.holds.lock(session)).then((end) => {
    releaseHolds = end;
  });
  await untilWaiting(2);
  await release();
  await locked;
  await untilWaiting(1);
  await kill(child);
  await releaseHolds();
  await standsAt({ byRetention: FIRST_STEP, open: ENTRIES - FIRST_STEP });

  // The next one goes on, with the same run.
  child = start();
  expect(await message(child)).toMatchObject({ run: null, erased: ENTRIES - FIRST_STEP, problem: null });
  await once(child, 'exit');
  await standsAt({ byRetention: ENTRIES, open: 0 });
  const after = await recompute(one.database, log);
  expect(after.tree.root()).toEqual(before.tree.root());
  expect(after.rows.every(({ digest, payload }) => digest === null && payload === null)).toBe(true);
  const { rows } = await recompute(one.database, one.registry.system);
  const acts = rows.map(({ payload }) => JSON.parse(payload?.toString() ?? '{}').act);
  expect(acts.filter((act) => act === 'entries-erased')).toHaveLength(1);
});
