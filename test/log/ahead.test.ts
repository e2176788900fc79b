import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Draft, Log } from '../../src/log/log.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { Clock, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

// Entries that get their places while the commit before is under way.

const clock = new Clock();
let server: TestDatabase;
let sound: Instance;
let proxy: FaultProxy;
let faulty: Instance;
let log: Log;
let made = 0;

beforeAll(async () => {
  server = await testDatabase();
  sound = await openInstance(server.url);
});

afterAll(async () => {
  await sound?.end();
  await server?.drop();
});

beforeEach(async () => {
  proxy = await FaultProxy.open(server.url);
  faulty = await openInstance(proxy.url, { connections: 3, name: `ahead-${made}`, clock });
  log = await sound.makeLog(`ahead-${made++}`);
  await faulty.append(log, 'first');
});

afterEach(async () => {
  await faulty.end();
  await proxy.close();
});

const send = (list: Draft[], instance = faulty) => instance.appender.append(log, { drafts: list, idempotency: null });
const texts = async (): Promise<(string | undefined)[]> =>
  (await recompute(sound.database, log)).rows.map((row) => row.payload?.toString());
const name = (): string => `ahead-${made - 1}`;
const WAITING = `application_name = $1 AND wait_event_type = 'Lock'`;
const waits = (): Promise<void> =>
  expect
    .poll(async () => (await sound.database.query(`SELECT FROM pg_stat_activity WHERE ${WAITING}`, [name()])).rowCount)
    .toBe(1);

/** What comes of it; a refusal that nobody waits for yet is no failure of the test. */
async function outcome<T>(sent: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [settled] = await Promise.allSettled([sent]);
  return settled;
}

/** Sends so many batches, the first of which waits for the log's row while `meanwhile` is done. */
async function heldUp(sizes: readonly number[], meanwhile: () => Promise<void>) {
  const holder = await sound.database.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log.id]);
  const [first = 0, ...rest] = sizes;
  const sent = [outcome(send(drafts(first, 'batch 0')))];
  await waits();
  for (const [i, size] of rest.entries()) sent.push(outcome(send(drafts(size, `batch ${i + 1}`))));
  await meanwhile();
  await holder.query('COMMIT');
  holder.release();
  return Promise.all(sent);
}

test('they have the time at which they got them, and follow it', async () => {
  const begun = clock.now();
  const outcomes = await heldUp([300, 700, 20], async () => {
    clock.shift += 5_000;
  });
  clock.shift = 0;
  expect(outcomes).toMatchObject([
    { value: { index: 1, count: 300 } },
    { value: { index: 301, count: 700 } },
    { value: { index: 1_001, count: 20 } },
  ]);
  const times = outcomes.map((each) => (each.status === 'fulfilled' ? each.value.receivedAt - begun : Number.NaN));
  expect(times[1]).toBeLessThan(5_000);
  // Few entries wait until the commit before took place.
  expect(times[2]).toBeGreaterThanOrEqual(5_000);
  expect(await texts()).toHaveLength(1_021);
});

test('batches of all sizes, of two processes, stand in one piece where they were told', async () => {
  const told = new Map<number, string>();
  const worker = async (n: number): Promise<void> => {
    for (let i = 0; i < 6; i++) {
      const size = 1 + ((n * 397 + i * 211) % 1_100);
      const { index } = await send(drafts(size, `${n}/${i}`), n === 0 ? sound : faulty);
      for (let at = 0; at < size; at++) told.set(index + at, `${n}/${i} ${at}`);
    }
  };
  await Promise.all(Array.from({ length: 7 }, (_, n) => worker(n)));
  const kept = await texts();
  expect(kept).toHaveLength(told.size + 1);
  expect(kept.slice(1).every((text, i) => text === told.get(i + 1))).toBe(true);
});

describe('where the commit before comes to nothing, they are placed anew', () => {
  test('because its connection was ended', async () => {
    const [first, second] = await heldUp([300, 700], async () => {
      await sound.database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${WAITING}`, [name()]);
    });
    expect(first?.status).toBe('rejected');
    expect(second).toMatchObject({ value: { index: 1, count: 700 } });
    expect(await texts()).toHaveLength(701);
  });

  test('because it is not known to have taken place', async () => {
    proxy.faults.push('unanswered');
    const [first, second] = await heldUp([300, 700], async () => {});
    expect(first?.status).toBe('rejected');
    expect(second).toMatchObject({ value: { index: 301, count: 700 } });
    expect(await texts()).toHaveLength(1_001);
  });

  test('because another process appended', async () => {
    const going = send(drafts(300, 'theirs'), sound);
    const outcomes = await heldUp([300, 700], async () => {});
    await going;
    expect(outcomes).toMatchObject([{ value: { count: 300 } }, { value: { count: 700 } }]);
    const indices = outcomes.map((each) => (each.status === 'fulfilled' ? each.value.index : -1));
    const kept = await texts();
    expect(kept).toHaveLength(1_301);
    expect(indices.map((index) => kept[index])).toEqual(['batch 0 0', 'batch 1 0']);
  });
});

test('where the database gives no answer, they are refused with the commit before', async () => {
  const silent = await openInstance(proxy.url, { connections: 3, name: name(), commitDeadline: 500 });
  try {
    await silent.append(log, 'known');
    const holder = await sound.database.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log.id]);
    proxy.faults.push('silent');
    const sent = [outcome(send(drafts(300, 'batch 0'), silent))];
    await waits();
    sent.push(outcome(send(drafts(700, 'batch 1'), silent)), outcome(send(drafts(20, 'batch 2'), silent)));
    const outcomes = await Promise.all(sent);
    await holder.query('COMMIT');
    holder.release();
    expect(outcomes).toMatchObject(Array.from({ length: 3 }, () => ({ reason: { code: 'database-silent' } })));
    expect(await silent.append(log, 'again')).toMatchObject({ count: 1 });
    expect((await texts()).at(-1)).toBe('again');
  } finally {
    await silent.end();
  }
});
