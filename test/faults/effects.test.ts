// The effects below an append, each by itself: what fails is told, what hangs is given up, and nothing is left behind.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Appender } from '../../src/log/appender.ts';
import type { Effects } from '../../src/log/log.ts';
import { openDatabase, transaction } from '../../src/store/database.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
let sound: Instance;

beforeAll(async () => {
  server = await testDatabase();
  sound = await openInstance(server.url);
});

afterAll(async () => {
  await sound.end();
  await server.drop();
});

const submission = (text: string) => ({ drafts: drafts(1, text), idempotency: null });

test.each(['now', 'random'] as const)(
  '%s that fails: told, nothing kept, and the next append works',
  async (effect) => {
    const log = await sound.makeLog(effect);
    let broken = false;
    const check = (): void => {
      if (broken) throw new Error('failed on purpose');
    };
    const effects: Effects = {
      now: () => {
        if (effect === 'now') check();
        return sound.effects.now();
      },
      random: (length) => {
        if (effect === 'random') check();
        return sound.effects.random(length);
      },
    };
    const appender = new Appender(sound.database, effects, { maxQueuedBytes: 1_024 });
    await appender.append(log, submission('before'));
    broken = true;
    for (let i = 0; i < 10; i++) {
      await expect(appender.append(log, submission('meanwhile'))).rejects.toThrow('failed on purpose');
    }
    broken = false;
    expect(await appender.append(log, submission('after'))).toMatchObject({ index: 1 });
    const { rows } = await recompute(sound.database, log);
    expect(rows.map(({ payload }) => payload?.toString())).toEqual(['before 0', 'after 0']);
  },
);

test('a transaction that hangs is given up at its deadline: no connection, no lock and no memory is kept for it', async () => {
  const proxy = await FaultProxy.open(server.url);
  const database = openDatabase(proxy.url, { connections: 1 });
  for (const fault of ['held', 'silent'] as const) {
    void proxy.strike(fault);
    const locked = transaction(database, (tx) => tx.query('SELECT pg_advisory_xact_lock(4711)'), { deadline: 400 });
    await expect(locked).rejects.toMatchObject({ code: 'database-silent' });
    expect(database.totalCount).toBe(0);
    // The only connection there can be.
    await transaction(database, (tx) => tx.query('SELECT pg_advisory_xact_lock(4711)'), { deadline: 2_000 });
  }
  await database.end();
  await proxy.close();
});

test('the server ends what waits for a lock or idles in a transaction, also where it never hears of us again', async () => {
  const shown = await transaction(
    sound.database,
    async (tx) => {
      const lock = await tx.query('SHOW lock_timeout');
      const idle = await tx.query('SHOW idle_in_transaction_session_timeout');
      return { ...lock.rows[0], ...idle.rows[0] };
    },
    { deadline: 700 },
  );
  expect(shown).toEqual({ lock_timeout: '700ms', idle_in_transaction_session_timeout: '700ms' });
  // Nothing of that is left on the connection, which goes back to the pool.
  expect((await sound.database.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '0' }]);
});

test('work that hangs on something else does not hold its transaction either', async () => {
  const database = openDatabase(server.url, { connections: 1 });
  const hung = transaction(
    database,
    async (tx) => {
      await tx.query('SELECT pg_advisory_xact_lock(4712)');
      await new Promise(() => {});
    },
    { deadline: 300 },
  );
  await expect(hung).rejects.toMatchObject({ code: 'database-silent' });
  await transaction(sound.database, (tx) => tx.query('SELECT pg_advisory_xact_lock(4712)'), { deadline: 2_000 });
  await database.end();
});

test('a log whose commits hang takes no more after a while, and what waits is told so', async () => {
  const proxy = await FaultProxy.open(server.url);
  const instance = await openInstance(proxy.url, { commitDeadline: 600, maxQueuedBytes: 8_000 });
  const [log, other] = [await sound.makeLog('hangs'), await sound.makeLog('does-not')];
  await instance.append(log, 'a');
  const struck = proxy.strike('held');
  const first = instance.append(log, 'b');
  await struck;
  // As many as fit into half of what may wait.
  const waiting = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      Promise.race([instance.append(log, `${i}`).then(String, (e) => e.code), sleep(100, 'waits')]),
    ),
  );
  expect(waiting.filter((outcome) => outcome === 'waits').length).toBeGreaterThan(5);
  expect(waiting.filter((outcome) => outcome === 'overloaded').length).toBeGreaterThan(5);
  expect(await instance.append(other, 'free')).toMatchObject({ index: 0 });
  await expect(first).rejects.toMatchObject({ code: 'database-silent' });
  // All of them were told at once: nothing waits any more.
  expect(await instance.append(log, 'c')).toMatchObject({ index: 1 });
  const { rows } = await recompute(sound.database, log);
  expect(rows.map(({ payload }) => payload?.toString())).toEqual(['a', 'c']);
  await instance.end();
  await proxy.close();
});
