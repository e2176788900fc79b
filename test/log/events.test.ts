import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import { purgeEventIds } from '../../src/log/events.ts';
import type { Draft, Log, Logged } from '../../src/log/log.ts';
import { draft, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let database: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  database = await testDatabase();
  one = await openInstance(database.url);
  two = await openInstance(database.url);
});
afterAll(async () => {
  await one.end();
  await two.end();
  await database.drop();
});

const event = (name: string, content = name): Draft => ({ ...draft(content), event: sha256(utf8(name)).slice(0, 16) });
const send = (instance: Instance, log: Log, ...drafts: Draft[]): Promise<Logged> =>
  instance.appender.appendEvents(log, { drafts, idempotency: null });

async function digests(log: Log): Promise<string[]> {
  const { rows } = await recompute(one.database, log);
  return rows.map(({ digest }) => (digest === null ? 'erased' : toHex(digest)));
}

describe('events', () => {
  test('are logged once: within a batch, in another one, by another process', async () => {
    const log = await one.makeLog('once');
    const first = await send(one, log, event('a'), event('b'), event('a'));
    expect(first).toMatchObject({ appended: { index: 0, count: 2 }, repeats: { count: 1, conflicting: 0 } });
    const second = await send(two, log, event('b'), event('c'), event('a'));
    expect(second).toMatchObject({ appended: { index: 2, count: 1 }, repeats: { count: 2, conflicting: 0 } });
    expect(await send(one, log, event('c'))).toEqual({
      appended: null,
      fresh: [],
      repeats: { count: 1, conflicting: 0 },
    });
    expect(await digests(log)).toEqual(['a', 'b', 'c'].map((name) => toHex(sha256(utf8(name)))));
  });

  test('are each a log’s own', async () => {
    const [here, there] = [await one.makeLog('here'), await one.makeLog('there')];
    await send(one, here, event('a'));
    expect(await send(one, there, event('a'))).toMatchObject({ appended: { count: 1 } });
  });

  test('that come with other content are logged once as well, and counted', async () => {
    const log = await one.makeLog('conflicting');
    const same = await send(one, log, event('a'), event('a', 'a2'), event('b'), event('a', 'a2'));
    expect(same).toMatchObject({ appended: { index: 0, count: 3 }, repeats: { count: 1, conflicting: 1 } });
    const later = await send(two, log, event('a'), event('b', 'b2'), event('a', 'a3'), event('a', 'a2'));
    expect(later).toMatchObject({ appended: { index: 3, count: 2 }, repeats: { count: 2, conflicting: 2 } });
    const again = await send(one, log, event('a', 'a3'), event('b', 'b2'), event('b'), event('a', 'a2'), event('a'));
    expect(again).toEqual({ appended: null, fresh: [], repeats: { count: 5, conflicting: 0 } });
    expect(await digests(log)).toEqual(['a', 'a2', 'b', 'b2', 'a3'].map((content) => toHex(sha256(utf8(content)))));
  });

  test('of one id and many contents, sent at the same time to two processes, stand there once each', async () => {
    const log = await one.makeLog('contested');
    const all = Array.from({ length: 60 }, (_, i) => event('a', `content ${i}`));
    const batches = Array.from({ length: 30 }, (_, i) => all.slice((i * 13) % 40, ((i * 13) % 40) + 20));
    const outcomes = await Promise.all(batches.map((batch, i) => send(i % 2 === 0 ? one : two, log, ...batch)));
    const stored = await digests(log);
    expect(stored).toHaveLength(new Set(batches.flat()).size);
    expect(new Set(stored)).toEqual(new Set(batches.flat().map(({ digest }) => toHex(digest))));
    expect(outcomes.reduce((sum, { repeats }) => sum + repeats.conflicting, 0)).toBe(stored.length - 1);
  });

  test('whose digests were made to begin alike are logged all the same', async () => {
    const log = await one.makeLog('alike');
    const [first, second, third] = [1, 2, 3].map((end): Draft => {
      const digest = new Uint8Array(32).fill(end);
      digest.fill(7, 0, end === 1 ? 0 : 8);
      return { digest, payload: null, event: new Uint8Array(16).fill(5) };
    });
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were made');
    expect(await send(one, log, first, second, third)).toMatchObject({ appended: { count: 3 }, repeats: { count: 0 } });
    expect(await send(one, log, first, second)).toMatchObject({ appended: null });
    expect(await send(two, log, third)).toMatchObject({ appended: { count: 1 }, repeats: { conflicting: 1 } });
  });

  test('of overlapping batches sent at the same time to two processes stand there once', async () => {
    const log = await one.makeLog('race');
    const all = Array.from({ length: 300 }, (_, i) => event(`event ${i}`));
    const batches = Array.from({ length: 40 }, (_, i) => all.slice((i * 13) % 260, ((i * 13) % 260) + 40));
    const outcomes = await Promise.all(batches.map((batch, i) => send(i % 2 === 0 ? one : two, log, ...batch)));
    const sent = new Set(batches.flat().map(({ digest }) => toHex(digest)));
    const stored = await digests(log);
    expect(stored).toHaveLength(sent.size);
    expect(new Set(stored)).toEqual(sent);
    const fresh = outcomes.reduce((sum, { appended }) => sum + (appended?.count ?? 0), 0);
    const repeats = outcomes.reduce((sum, outcome) => sum + outcome.repeats.count, 0);
    expect([fresh, fresh + repeats]).toEqual([sent.size, 40 * 40]);
  });

  test('share commits with entries that are none', async () => {
    const log = await one.makeLog('mixed');
    await Promise.all([
      send(one, log, event('a'), event('b')),
      one.append(log, 'plain', 'plain'),
      send(one, log, event('b'), event('c')),
      one.append(log, 'plain'),
    ]);
    expect(await digests(log)).toHaveLength(6);
    expect(await send(one, log, event('a'), event('b'), event('c'))).toMatchObject({ appended: null });
  });

  test('of a batch whose commit fails are not taken for logged', async () => {
    const log = await one.makeLog('failing');
    await one.database.query(`CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$`);
    await one.database.query('CREATE TRIGGER fail BEFORE INSERT ON blocks FOR EACH ROW EXECUTE FUNCTION fail_once()');
    await expect(send(one, log, event('a'))).rejects.toMatchObject({ code: '53100' });
    await one.database.query('DROP TRIGGER fail ON blocks');
    expect(await send(one, log, event('a'))).toMatchObject({ appended: { index: 0, count: 1 } });
  });

  test('are forgotten with the entry that is erased, and only they', async () => {
    const log = await one.makeLog('erased');
    await send(one, log, event('a'), event('b'), event('c'));
    await eraseEntry(one.database, one.registry.system, one.sequencing, log, 1, one.holds);
    const { rows } = await one.database.query('SELECT index FROM logged_events WHERE log = $1 ORDER BY index', [
      log.id,
    ]);
    expect(rows).toEqual([{ index: 0 }, { index: 2 }]);
    expect(await send(one, log, event('a'), event('b'))).toMatchObject({ appended: { index: 3, count: 1 } });
  });
});

test('an event under a contested id is known when the first one was erased', async () => {
  const log = await one.makeLog('erased-first');
  await send(one, log, event('a'), event('a', 'a2'));
  await eraseEntry(one.database, one.registry.system, one.sequencing, log, 0, one.holds);
  expect(await send(one, log, event('a', 'a2'))).toMatchObject({ appended: null, repeats: { count: 1 } });
  await eraseEntry(one.database, one.registry.system, one.sequencing, log, 1, one.holds);
  expect(await send(one, log, event('a', 'a2'))).toMatchObject({ appended: { index: 2 } });
});

describe('the memory of events', () => {
  /** As if what is known had been logged so many days ago. */
  const age = (days: number): Promise<unknown> =>
    one.database.query('UPDATE logged_events SET slot = (slot + 20 - $1) % 10', [days]);

  test.each([1, 7])('holds after %i days', async (days) => {
    await one.database.query('DELETE FROM logged_events');
    const log = await one.makeLog(`aged-${days}`);
    await send(one, log, event('a'));
    await age(days);
    expect(await purgeEventIds(one.database)).toBe(0);
    expect(await send(one, log, event('a'))).toMatchObject({ appended: null });
  });

  test('ends after eight, and its room is given back', async () => {
    await one.database.query('DELETE FROM logged_events');
    const log = await one.makeLog('old');
    await send(one, log, event('a'), event('b'));
    await age(8);
    expect(await purgeEventIds(one.database)).toBe(1);
    expect((await one.database.query('SELECT FROM logged_events')).rowCount).toBe(0);
    expect(await send(one, log, event('a'))).toMatchObject({ appended: { count: 1 } });
    expect(await purgeEventIds(one.database)).toBe(0);
  });

  test('is purged behind nobody’s back: who reads it for long is not waited for', async () => {
    await one.database.query('DELETE FROM logged_events');
    const log = await one.makeLog('dumped');
    await send(one, log, event('a'));
    await age(8);
    const dump = await two.database.connect();
    try {
      await dump.query('BEGIN');
      await dump.query('SELECT count(*) FROM logged_events');
      await expect(purgeEventIds(one.database)).rejects.toMatchObject({ code: '55P03' });
    } finally {
      await dump.query('ROLLBACK');
      dump.release();
    }
    expect(await purgeEventIds(one.database)).toBe(1);
  });
});
