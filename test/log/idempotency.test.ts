import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import type { Draft, Log } from '../../src/log/log.ts';
import { IDEMPOTENCY_TTL, purgeKeys } from '../../src/log/replay.ts';
import { Clock, draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';
import { eraseInBlock } from '../support/stored-entries.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;
let log: Log;
let made = 0;
/** Of the service and of the database at once: see {@link moveClocks}. */
const clock = new Clock();

beforeAll(async () => {
  server = await testDatabase();
  // Where `clock_timestamp()` is looked for before the one that is built in.
  const setup = await openInstance(server.url);
  await setup.database.query(`
    CREATE SCHEMA moved;
    CREATE TABLE moved.shift (by interval NOT NULL);
    INSERT INTO moved.shift VALUES ('0');
    CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
      AS 'SELECT pg_catalog.clock_timestamp() + by FROM moved.shift';
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = moved, pg_catalog, public', current_database()); END $$`);
  await setup.end();
  [one, two] = [await openInstance(server.url, { clock }), await openInstance(server.url, { clock })];
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

beforeEach(async () => {
  log = await one.makeLog(`log-${made++}`);
});

async function moveClocks(by: number): Promise<void> {
  clock.shift += by;
  await one.database.query(`UPDATE moved.shift SET by = by + $1 * interval '1 millisecond'`, [by]);
}

interface Request {
  readonly key: string;
  readonly list: Draft[];
  readonly owner?: string;
  readonly body?: string;
}

const send = (instance: Instance, { key, list, owner = 'owner', body = 'body' }: Request, target: Log = log) =>
  instance.appender.append(target, { drafts: list, idempotency: { owner, key, requestHash: sha256(utf8(body)) } });
const size = async (): Promise<number> => (await recompute(one.database, log)).rows.length;

describe('the same key', () => {
  test('with the same body: the same answer, from every process, and nothing appended', async () => {
    await one.append(log, 'before');
    const request = { key: 'k', list: drafts(3) };
    const first = await send(one, request);
    expect(first).toMatchObject({ index: 1, count: 3 });
    await one.append(log, 'between');
    for (const instance of [one, two, one]) expect(await send(instance, request)).toEqual(first);
    const fresh = await openInstance(server.url, { clock });
    expect(await send(fresh, request)).toEqual(first);
    await fresh.end();
    expect(await size()).toBe(5);
  });

  test('with another body: refused, and those it shares a commit with are not harmed', async () => {
    await send(one, { key: 'k', list: drafts(1) });
    const [same, other, keyless, fresh] = await Promise.allSettled([
      send(one, { key: 'k', list: drafts(1) }),
      send(one, { key: 'k', list: drafts(1), body: 'other' }),
      one.append(log, 'keyless'),
      send(one, { key: 'fresh', list: drafts(2) }),
    ]);
    expect(same).toMatchObject({ status: 'fulfilled', value: { index: 0 } });
    expect(other).toMatchObject({ status: 'rejected', reason: { code: 'idempotency-key-reused' } });
    expect(keyless).toMatchObject({ status: 'fulfilled', value: { index: 1, count: 1 } });
    expect(fresh).toMatchObject({ status: 'fulfilled', value: { index: 2, count: 2 } });
    expect(await size()).toBe(4);
  });

  test('twice in one commit: one is appended, the other told to ask again, and then gets the same answer', async () => {
    const request = { key: 'k', list: drafts(2) };
    const outcomes = await Promise.allSettled([
      send(one, request),
      send(one, request),
      send(one, { ...request, body: 'other' }),
    ]);
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: { index: 0, count: 2 } },
      { status: 'rejected', reason: { code: 'idempotency-key-in-flight' } },
      { status: 'rejected', reason: { code: 'idempotency-key-reused' } },
    ]);
    expect(await send(one, request)).toMatchObject({ index: 0, count: 2 });
    expect(await size()).toBe(2);
  });

  test('sent to two processes at once: one append, one answer', async () => {
    for (let i = 0; i < 10; i++) {
      const request = { key: `k${i}`, list: drafts(2, `${i}`) };
      const [a, b] = await Promise.all([send(one, request), send(two, request)]);
      expect(a).toEqual(b);
    }
    expect(await size()).toBe(20);
  });

  test('by another owner or to another log is another key', async () => {
    const other = await one.makeLog(`log-${made++}`);
    const answers = [
      await send(one, { key: 'k', list: drafts(1), owner: 'a' }),
      await send(one, { key: 'k', list: drafts(1), owner: 'b', body: 'other' }),
      await send(one, { key: 'k', list: drafts(1), owner: '' }),
      await send(one, { key: 'k', list: drafts(1), owner: 'a', body: 'third' }, other),
    ];
    expect(answers.map(({ index }) => index)).toEqual([0, 1, 2, 0]);
  });

  test('an answer to digests without payload comes back too', async () => {
    const request = { key: 'k', list: drafts(3).map(({ digest }) => ({ digest, payload: null })) };
    expect(await send(two, request)).toEqual(await send(one, request));
  });
});

describe('seven days', () => {
  test('later the key is as new; until then it is not', async () => {
    const request = { key: 'k', list: drafts(1) };
    const first = await send(one, request);
    await moveClocks(IDEMPOTENCY_TTL - 60_000);
    expect(await send(two, request)).toEqual(first);
    await expect(send(one, { ...request, body: 'other' })).rejects.toMatchObject({ code: 'idempotency-key-reused' });
    await moveClocks(60_000);
    const second = await send(one, { ...request, body: 'other' });
    expect(second.index).toBe(1);
    expect(await send(two, { ...request, body: 'other' })).toEqual(second);
    await expect(send(two, request)).rejects.toMatchObject({ code: 'idempotency-key-reused' });
    expect(await size()).toBe(2);
  });

  test('purging takes what is past its time and nothing else', async () => {
    await purgeKeys(one.database, clock.now() + IDEMPOTENCY_TTL);
    await send(one, { key: 'old', list: drafts(1) });
    await moveClocks(IDEMPOTENCY_TTL);
    await send(one, { key: 'young', list: drafts(1) });
    expect(await purgeKeys(one.database, clock.now())).toBe(1);
    expect(await purgeKeys(one.database, clock.now())).toBe(0);
    expect(await send(one, { key: 'young', list: drafts(1) })).toMatchObject({ index: 1 });
    expect(await send(one, { key: 'old', list: drafts(1) })).toMatchObject({ index: 2 });
  });
});

test('a transaction that fails keeps no key', async () => {
  clock.shift += 90_000;
  await expect(send(one, { key: 'k', list: drafts(1) })).rejects.toMatchObject({ code: 'clock-skew' });
  clock.shift -= 90_000;
  expect(await send(one, { key: 'k', list: drafts(2), body: 'other' })).toMatchObject({ index: 0, count: 2 });
});

test('a key whose entry was erased is refused, alone', async () => {
  const request = { key: 'k', list: [draft('secret')] };
  await send(one, request);
  await eraseInBlock(one.database, log.id, 0);
  const [replay, other] = await Promise.allSettled([send(one, request), one.append(log, 'other')]);
  expect(replay).toMatchObject({ status: 'rejected', reason: { code: 'entry-erased' } });
  expect(other).toMatchObject({ status: 'fulfilled', value: { index: 1 } });
});
