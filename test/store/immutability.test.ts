import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { markLeaves } from '../../src/anchor/leaf-marks.ts';
import type { Log } from '../../src/log/log.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';
import { eraseInBlock } from '../support/stored-entries.ts';

let server: TestDatabase;
let one: Instance;
let log: Log;
let before: string;

const snapshot = async (): Promise<string> => {
  const tables = [
    'logs',
    'log_heads',
    'blocks',
    'tiles',
    'checkpoints',
    'rounds',
    'packed_leaves',
    'round_logs',
    'leaf_marks',
  ];
  const counts = await Promise.all(
    tables.map((table) => one.database.query(`SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM ${table} t`)),
  );
  return JSON.stringify(counts.map(({ rows }) => rows));
};

beforeAll(async () => {
  server = await testDatabase();
  one = await openInstance(server.url);
  log = await one.makeLog('demo');
  await one.appender.append(log, { drafts: drafts(300), idempotency: null });
  await one.closeRound();
  await one.publisher.at(log, 300);
  await markLeaves(one.database, 1, [new Uint8Array(32)]);
  // As an older release stored them.
  await one.database.query(`INSERT INTO packed_leaves (round, link, checkpoints, digests) VALUES (1, '\\x80', '', '')`);
  before = await snapshot();
});

afterAll(async () => {
  await one?.end();
  await server?.drop();
});

const refused = async (sql: string): Promise<void> => {
  await expect(one.database.query(sql)).rejects.toMatchObject({ code: '23001' });
};

describe('refused by the database', () => {
  test.each([
    'UPDATE blocks SET content = content',
    `UPDATE blocks SET content = content || 'x'`,
    `UPDATE blocks SET erased = '{}'`,
    `UPDATE blocks SET erased = '{256}'`,
    `UPDATE blocks SET erased = '{-1}'`,
    `UPDATE blocks SET erased = '{5}', bytes = bytes + 1`,
    `UPDATE blocks SET erased = '{5}', received_at = received_at + 1`,
    `UPDATE blocks SET erased = '{5}', times = substring(content FROM 1 FOR 8 * count) WHERE first = 0`,
    `UPDATE blocks SET erased = '{5}', leaves = NULL WHERE first = 256`,
    `UPDATE blocks SET erased = '{5}', leaves = set_byte(leaves, 0, get_byte(leaves, 0) # 1) WHERE first = 256`,
    `UPDATE blocks SET erased = '{5}', count = count - 1`,
    `UPDATE blocks SET erased = '{5}', first = first + 512`,
    `UPDATE blocks SET erased = '{5}', log = log + 1000`,
    'DELETE FROM blocks WHERE first = 256',
    'DELETE FROM blocks',
    `WITH gone AS (DELETE FROM blocks WHERE first = 256 RETURNING *)
     INSERT INTO blocks SELECT log, first, count - 1, received_at, times, substring(leaves FROM 33), erased, bytes, content FROM gone`,
    `WITH gone AS (DELETE FROM blocks WHERE first = 256 RETURNING *)
     INSERT INTO blocks SELECT log, first + 1, count - 1, received_at, times, substring(leaves FROM 33), erased, bytes, content FROM gone`,
    `WITH gone AS (DELETE FROM blocks WHERE first = 256 RETURNING *)
     INSERT INTO blocks SELECT log, first, count, received_at + 1, times, leaves, erased, bytes, content FROM gone`,
    `WITH gone AS (DELETE FROM blocks WHERE first = 256 RETURNING *)
     INSERT INTO blocks SELECT log + 1000, first, count, received_at, times, leaves, erased, bytes, content FROM gone`,
    'UPDATE tiles SET root = sha256(root)',
    'DELETE FROM tiles',
    `UPDATE checkpoints SET note = 'other'`,
    'UPDATE checkpoints SET note = note',
    `UPDATE checkpoints SET note = note || 'x', root = sha256(root)`,
    'DELETE FROM checkpoints',
    'UPDATE log_keys SET public_key = sha256(public_key)',
    'UPDATE log_keys SET created_at = 0, revoked_at = 1',
    'UPDATE log_keys SET revoked_at = NULL',
    'DELETE FROM log_keys',
    'UPDATE rounds SET closed_at = 0',
    `UPDATE rounds SET link_beacons = ''`,
    'UPDATE rounds SET heads = heads',
    `UPDATE rounds SET digests = ''`,
    'DELETE FROM rounds',
    `UPDATE packed_leaves SET link = ''`,
    `UPDATE packed_leaves SET checkpoints = checkpoints`,
    `UPDATE packed_leaves SET digests = ''`,
    'DELETE FROM packed_leaves',
    'UPDATE round_logs SET size = size + 1',
    'UPDATE round_logs SET round = 2',
    'DELETE FROM round_logs',
    'UPDATE leaf_marks SET round = 2',
    'DELETE FROM leaf_marks',
    'UPDATE log_heads SET size = size - 1',
    'UPDATE log_heads SET root = sha256(root)',
    'UPDATE log_heads SET last_leaf = sha256(last_leaf)',
    'UPDATE log_heads SET last_received_at = last_received_at + 1',
    'INSERT INTO log_heads SELECT log, size - 1, root, last_leaf, last_received_at FROM log_heads',
    'INSERT INTO log_heads SELECT log, size + 1, root, last_leaf, last_received_at - 1 FROM log_heads',
    'DELETE FROM log_heads',
    `UPDATE logs SET name = 'other' WHERE name = 'demo'`,
    `UPDATE logs SET origin = 'other' WHERE name = 'demo'`,
    `UPDATE logs SET log_id = sha256(log_id) WHERE name = 'demo'`,
    `UPDATE logs SET blinded = NOT blinded WHERE name = 'demo'`,
    `UPDATE logs SET created_at = 0 WHERE name = 'demo'`,
    `DELETE FROM logs WHERE name = 'demo'`,
  ])('%s', refused);

  test.each([
    'logs',
    'log_heads',
    'log_keys',
    'blocks',
    'tiles',
    'checkpoints',
    'rounds',
    'packed_leaves',
    'round_logs',
    'leaf_marks',
  ])('TRUNCATE %s', (table) => refused(`TRUNCATE ${table} CASCADE`));

  test('TRUNCATE of all of them at once', () =>
    refused('TRUNCATE blocks, tiles, checkpoints, rounds, packed_leaves, round_logs, leaf_marks, logs CASCADE'));

  test('and all of it left as it was', async () => {
    expect(await snapshot()).toBe(before);
    expect((await recompute(one.database, log)).rows).toHaveLength(300);
  });
});

test('an entry is erased by writing its block without it, and nothing brings it back', async () => {
  await eraseInBlock(one.database, log.id, 7);
  await eraseInBlock(one.database, log.id, 280);
  await refused(`UPDATE blocks SET erased = '{}' WHERE log = ${log.id} AND first = 0`);
  await refused(`UPDATE blocks SET erased = '{8}' WHERE log = ${log.id} AND first = 0`);
  await refused(`WITH gone AS (DELETE FROM blocks WHERE log = ${log.id} AND first = 0 RETURNING *)
    INSERT INTO blocks SELECT log, first, count, received_at, times, leaves, '{}', bytes, content FROM gone`);
  expect((await recompute(one.database, log)).rows.filter(({ erased }) => erased).map(({ index }) => index)).toEqual([
    7, 280,
  ]);
});

test('blocks are put together, and what was erased in them stays erased', async () => {
  await one.appender.append(log, { drafts: drafts(5), idempotency: null });
  await one.appender.append(log, { drafts: drafts(207), idempotency: null });
  const { rows } = await one.database.query('SELECT first, count, erased FROM blocks WHERE log = $1 ORDER BY first', [
    log.id,
  ]);
  expect(rows).toEqual([
    { first: 0, count: 256, erased: [7] },
    { first: 256, count: 256, erased: [24] },
  ]);
  expect((await recompute(one.database, log)).rows).toHaveLength(512);
});

test('what must be one of its kind is', async () => {
  // unique_violation, or exclusion_violation
  const code = expect.stringMatching(/^(23505|23P01)$/);
  const twice = (sql: string) => expect(one.database.query(sql)).rejects.toMatchObject({ code });
  await twice('INSERT INTO blocks SELECT * FROM blocks WHERE first = 256');
  await twice('INSERT INTO tiles SELECT * FROM tiles LIMIT 1');
  await twice('INSERT INTO checkpoints SELECT * FROM checkpoints LIMIT 1');
  await twice('INSERT INTO rounds SELECT number + 1, closed_at, previous_root, root, size, beacons FROM rounds');
  await twice('INSERT INTO packed_leaves SELECT * FROM packed_leaves');
  await twice('INSERT INTO round_logs SELECT size, round + 1, log, index + 100 FROM round_logs');
});
