import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { continueLog } from '../../src/log/continuation.ts';
import type { Log, Submission } from '../../src/log/log.ts';
import { prepare } from '../../src/log/prepared.ts';
import { Clock, draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;
const clock = new Clock();

beforeAll(async () => {
  server = await testDatabase();
  [one, two] = [await openInstance(server.url, { clock }), await openInstance(server.url)];
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

const continued = (log: Log, submission: Partial<Submission> = {}) => {
  const whole = { drafts: drafts(2, 'continued'), idempotency: null, ...submission };
  return continueLog(one.database, log, [prepare(log, whole, one.sequencing.effects)], one.sequencing, {
    deadline: 10_000,
  });
};
const WAITING = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
  AND query LIKE 'SELECT complete_tiles%'`;
const entriesOf = async (log: Log): Promise<number> => (await recompute(two.database, log)).rows.length;

test('entries go behind the head that the process committed last', async () => {
  const log = await one.makeLog('continued');
  await one.append(log, 'first');
  expect(await continued(log)).toMatchObject([{ appended: { index: 1, count: 2 }, fresh: null }]);
  expect(await continued(log)).toMatchObject([{ appended: { index: 3, count: 2 } }]);
  expect(await entriesOf(log)).toBe(5);
});

test('tiles become complete, and small blocks are put together', async () => {
  const log = await one.makeLog('tiles');
  await one.append(log, 'first');
  let size = 1;
  for (const count of [100, 154, 1, 1, 7, 248, 257, 700]) {
    expect(await continued(log, { drafts: drafts(count) })).toMatchObject([{ appended: { index: size, count } }]);
    size += count;
  }
  expect(await entriesOf(log)).toBe(size);
  const { rows } = await two.database.query('SELECT first FROM blocks WHERE log = $1 ORDER BY first', [log.id]);
  expect(rows.map(({ first }) => first)).toEqual([0, 256, 512, 768, 1024, 1280]);
});

describe('nothing is written, and the other way is taken,', () => {
  test('where no head is known', async () => {
    const log = await one.makeLog('unknown');
    expect(await continued(log)).toBeNull();
    expect(await entriesOf(log)).toBe(0);
  });

  test('where another process has appended since', async () => {
    const log = await one.makeLog('overtaken');
    await one.append(log, 'first');
    await two.append(log, 'second');
    expect(await continued(log)).toBeNull();
    expect(await entriesOf(log)).toBe(2);
    expect(await one.append(log, 'third')).toMatchObject({ index: 2 });
    expect(await continued(log)).toMatchObject([{ appended: { index: 3 } }]);
    expect(await entriesOf(log)).toBe(5);
  });

  test('where the size is the same and the root is another', async () => {
    const log = await one.makeLog('another-root');
    await one.append(log, 'first');
    const known = one.sequencing.logs.take(log.id);
    if (known === null) throw new Error('the head is not known');
    one.sequencing.logs.keep(log.id, { ...known, head: { ...known.head, root: new Uint8Array(32) } });
    expect(await continued(log)).toBeNull();
    expect(await entriesOf(log)).toBe(1);
  });

  test('where the clocks disagree', async () => {
    const log = await one.makeLog('skewed');
    await one.append(log, 'first');
    clock.shift = 61_000;
    expect(await continued(log)).toBeNull();
    await expect(one.append(log, 'refused')).rejects.toMatchObject({ code: 'clock-skew' });
    clock.shift = 0;
    expect(await entriesOf(log)).toBe(1);
  });

  test('where an entry is erased that a complete tile would be put together from', async () => {
    const log = await one.makeLog('erased');
    await one.append(log, 'first');
    const eraser = await two.database.connect();
    await eraser.query('BEGIN');
    await eraser.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log.id]);
    const going = continued(log, { drafts: drafts(300) });
    await expect.poll(async () => (await two.database.query(WAITING)).rowCount).toBe(1);
    await eraser.query("UPDATE blocks SET erased = '{0}' WHERE log = $1", [log.id]);
    await eraser.query('COMMIT');
    eraser.release();
    expect(await going).toBeNull();
    expect(await two.registry.head(log)).toMatchObject({ size: 1 });
  });

  test('where an entry is erased in a block that the process remembers', async () => {
    const log = await one.makeLog('remembered');
    await one.append(log, 'first');
    for (const count of [255, 3]) await continued(log, { drafts: drafts(count) });
    await two.database.query("UPDATE blocks SET erased = '{1}' WHERE log = $1 AND first = 256", [log.id]);
    expect(await continued(log, { drafts: drafts(300) })).toBeNull();
    expect(await two.registry.head(log)).toMatchObject({ size: 259 });
  });

  test('where there is something to look up', async () => {
    const log = await one.makeLog('looked-up');
    await one.append(log, 'first');
    const idempotency = { owner: '', key: 'key', requestHash: new Uint8Array(32) };
    expect(await continued(log, { idempotency })).toBeNull();
    expect(await continued(log, { drafts: [{ ...draft('event'), event: new Uint8Array(16) }] })).toBeNull();
    expect(await entriesOf(log)).toBe(1);
  });
});

test('a log that has become smaller is noticed by the next append', async () => {
  const log = await one.makeLog('smaller');
  await one.append(log, 'first');
  await continued(log);
  await one.database.query(
    `SET session_replication_role = replica; DELETE FROM log_heads WHERE log = ${log.id} AND size > 1;
     SET session_replication_role = DEFAULT`,
  );
  expect(await continued(log)).toBeNull();
  await expect(one.append(log, 'more')).rejects.toMatchObject({ code: 'database-set-back' });
});
