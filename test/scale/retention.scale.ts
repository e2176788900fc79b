// A million entries erased by retention, while the log is appended to: time, act, sizes.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { rewriteBlocks } from '../../src/log/blocks/block-rewrite.ts';
import { makeRuns } from '../../src/log/digest-runs.ts';
import type { Draft, Log } from '../../src/log/log.ts';
import { setRetention } from '../../src/log/retention.ts';
import { lookForDue } from '../../src/log/retention-run.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { auditDatabase } from '../support/audit.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const ENTRIES = 1_000_000;
const YOUNG = 10_000;
const BATCH = 10_000;

let database: TestDatabase;
let one: Instance;
let log: Log;

beforeAll(async () => {
  database = await testDatabase();
  one = await openInstance(database.url);
  log = await one.makeLog('large');
});

afterAll(async () => {
  await one?.end();
  await database?.drop();
});

/** An event of an audit log, some 330 bytes. */
function event(index: number): Uint8Array {
  const id = toHex(sha256(utf8(`event ${index}`)));
  return utf8(
    JSON.stringify({
      id,
      at: new Date(1_750_000_000_000 + 37 * index).toISOString(),
      actor: {
        user: `user-${index % 4_801}@example.org`,
        session: id.slice(0, 16),
        address: `10.${index % 251}.7.${index % 13}`,
      },
      action: ['read', 'update', 'login', 'export'][index % 4],
      resource: `projects/${index % 977}/secrets/${index % 31}`,
      outcome: index % 17 === 0 ? 'denied' : 'allowed',
    }),
  );
}

async function append(from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at += BATCH) {
    const drafts = Array.from({ length: BATCH }, (_, i): Draft => {
      const payload = event(at + i);
      return { digest: sha256(payload), payload };
    });
    await one.appender.append(log, { drafts, idempotency: null });
  }
}

interface Sizes {
  readonly entries: number;
  readonly index: number;
  readonly database: number;
}

async function sizes(): Promise<Sizes> {
  await one.database.query('VACUUM blocks, digest_runs, digest_batches');
  const { rows } = await one.database.query<Sizes>(
    `SELECT pg_total_relation_size('blocks') AS entries,
            pg_total_relation_size('digest_runs') + pg_total_relation_size('digest_batches') AS index,
            pg_database_size(current_database()) AS database`,
  );
  return rows[0] ?? { entries: 0, index: 0, database: 0 };
}

async function walBytes(since: string | null): Promise<{ lsn: string; bytes: number }> {
  const { rows } = await one.database.query<{ lsn: string; bytes: number }>(
    `SELECT pg_current_wal_lsn()::text AS lsn,
            coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn), 0)::bigint AS bytes`,
    [since],
  );
  return rows[0] ?? { lsn: '', bytes: 0 };
}

/** Appends an entry at a time until it is stopped. @returns milliseconds of each, ascending */
async function appendUntil(stopping: AbortSignal): Promise<number[]> {
  const took: number[] = [];
  while (!stopping.aborted) {
    const begun = performance.now();
    await one.append(log, `meanwhile ${took.length}`);
    took.push(performance.now() - begun);
    await sleep(10);
  }
  return took.sort((a, b) => a - b);
}

const percentile = (ascending: readonly number[], part: number): string =>
  `${(ascending[Math.min(ascending.length - 1, Math.floor(part * ascending.length))] ?? 0).toFixed(0)} ms`;
const latencies = (took: readonly number[]): string =>
  `${took.length} appends, p50 ${percentile(took, 0.5)}, p99 ${percentile(took, 0.99)}, longest ${percentile(took, 1)}`;
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const line = (what: string, of: Sizes): string =>
  `${what.padEnd(34)} entries ${mb(of.entries).padStart(9)}   index of digests ${mb(of.index).padStart(8)}   database ${mb(of.database).padStart(9)}`;

test('a million entries', async () => {
  await append(0, ENTRIES);
  await one.closeRound();
  const receipt = await one.receipts.compose(log, 654_321);
  const border = one.clock.now();
  while (one.clock.now() <= border + 1);
  await append(ENTRIES, YOUNG);
  await makeRuns(one.database, 1);
  const before = await sizes();
  const quiet = new AbortController();
  setTimeout(() => quiet.abort(), 10_000);
  const alone = await appendUntil(quiet.signal);

  const now = one.clock.now();
  const parts = { database: one.database, system: one.registry.system, sequencing: one.sequencing };
  await setRetention(parts, log, now - border - 1);
  // What came since is not due, however long the run takes.
  const sequencing = { ...one.sequencing, effects: { ...one.effects, now: () => now } };
  const wal = await walBytes(null);
  const done = new AbortController();
  const appending = appendUntil(done.signal);
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  const look = await lookForDue({
    ...one,
    sequencing,
    archive: null,
    interval: 0,
    stopping: new AbortController().signal,
  });
  const seconds = (performance.now() - begun) / 1_000;
  const used = process.cpuUsage(cpu);
  done.abort();
  const beside = await appending;
  const { bytes } = await walBytes(wal.lsn);
  expect(look).toEqual({ run: 1, erased: ENTRIES, problem: null });
  const after = await sizes();
  await rewriteBlocks(one.database, { onProgress: () => {}, onWaiting: () => {} });
  const scrubbed = await sizes();

  const system = await one.registry.head(one.registry.system);
  const acts: string[] = [];
  for (let index = 0; index < system.size; index++) {
    const payload = await one.entries.payload(one.registry.system, index);
    if (payload instanceof Uint8Array) acts.push(Buffer.from(payload).toString());
  }
  const act = acts.filter((text) => text.includes('"entries-erased"'));
  expect(act).toHaveLength(1);
  expect(JSON.parse(act[0] ?? '{}').ranges).toEqual([
    { log: log.origin, first: 0, count: ENTRIES, before: expect.any(String) },
  ]);
  const verdict = await verifyReceipt({ receipt, payload: Buffer.from(event(654_321)) }, {});
  expect(verdict.claims.find(({ claim }) => claim === 'content')?.status).toBe('verified');
  expect(verdict.claims.filter(({ status }) => status === 'refuted')).toEqual([]);
  const audited = performance.now();
  const audit = await auditDatabase(database.url);
  expect(audit.findings).toEqual([]);
  expect(audit.result.contents).toMatchObject({ erased: ENTRIES, byRetention: ENTRIES, open: 0 });
  console.log(
    [
      `${ENTRIES.toLocaleString('en')} entries of about ${event(1).length} bytes erased in ${seconds.toFixed(1)} s, ` +
        `${((used.user + used.system) / 1e6).toFixed(1)} s of CPU in the process, ${mb(bytes)} of WAL`,
      `the act: ${act[0]}`,
      line('before', before),
      line('after the run', after),
      line('after antequem erase --scrub', scrubbed),
      `appending to the same log alone: ${latencies(alone)}`,
      `appending to it during the run:  ${latencies(beside)}`,
      `audit in ${((performance.now() - audited) / 1_000).toFixed(1)} s: ${audit.verdict.claims.find(({ code }) => code === 'contents-hold')?.says}`,
    ].join('\n'),
  );
});
