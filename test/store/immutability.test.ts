import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Log } from '../../src/log/log.ts';
import { openSegment } from '../../src/log/partition-map.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
let one: Instance;
let log: Log;
let before: string;

const snapshot = async (): Promise<string> => {
  const tables = ['logs', 'stretches', 'entries', 'tiles', 'checkpoints', 'rounds', 'round_leaves'];
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
    `UPDATE entries SET payload = 'other' WHERE index = 5`,
    `UPDATE entries SET payload = NULL WHERE index = 5`,
    `UPDATE entries SET digest = NULL WHERE index = 5`,
    `UPDATE entries SET payload = NULL, digest = NULL WHERE index = 5`,
    `UPDATE entries SET payload = NULL, digest = NULL, nonce = '' WHERE index = 5`,
    `UPDATE entries SET payload = NULL, digest = NULL, nonce = NULL, received_at = 0 WHERE index = 5`,
    `UPDATE entries SET payload = NULL, digest = NULL, nonce = NULL, leaf_hash = commitment WHERE index = 5`,
    `UPDATE entries SET payload = NULL, digest = NULL, nonce = NULL, commitment = leaf_hash WHERE index = 5`,
    `UPDATE entries SET payload = NULL, digest = NULL, nonce = NULL, index = 1000 WHERE index = 5`,
    `UPDATE entries SET received_at = received_at + 1`,
    `UPDATE entries SET received_at = received_at`,
    `UPDATE entries_000001 SET payload = 'other' WHERE index = 5`,
    'DELETE FROM entries WHERE index = 299',
    'DELETE FROM entries_000001 WHERE index = 299',
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
    'DELETE FROM rounds',
    `UPDATE round_leaves SET leaf = ''`,
    'DELETE FROM round_leaves',
    'UPDATE stretches SET segment = 1',
    'DELETE FROM stretches',
    `UPDATE logs SET size = size - 1 WHERE name = 'demo'`,
    `UPDATE logs SET size = 0 WHERE name = 'demo'`,
    `UPDATE logs SET root = sha256(root) WHERE name = 'demo'`,
    `UPDATE logs SET last_leaf = sha256(last_leaf) WHERE name = 'demo'`,
    `UPDATE logs SET last_received_at = last_received_at + 1 WHERE name = 'demo'`,
    `UPDATE logs SET size = size + 1, last_received_at = last_received_at - 1 WHERE name = 'demo'`,
    `UPDATE logs SET name = 'other' WHERE name = 'demo'`,
    `UPDATE logs SET origin = 'other' WHERE name = 'demo'`,
    `UPDATE logs SET log_id = sha256(log_id) WHERE name = 'demo'`,
    `UPDATE logs SET blinded = NOT blinded WHERE name = 'demo'`,
    `UPDATE logs SET created_at = 0 WHERE name = 'demo'`,
    `DELETE FROM logs WHERE name = 'demo'`,
  ])('%s', refused);

  test.each([
    'logs',
    'log_keys',
    'entries',
    'entries_000001',
    'tiles',
    'checkpoints',
    'rounds',
    'round_leaves',
    'stretches',
  ])('TRUNCATE %s', (table) => refused(`TRUNCATE ${table} CASCADE`));

  test('TRUNCATE of all of them at once', () =>
    refused('TRUNCATE entries, tiles, checkpoints, rounds, round_leaves, stretches, logs CASCADE'));

  test('and all of it left as it was', async () => {
    expect(await snapshot()).toBe(before);
    expect((await recompute(one.database, log)).rows).toHaveLength(300);
  });

  test('in a segment opened later too', async () => {
    await one.database.query('UPDATE segments SET reserved = 1048576');
    await openSegment(one.database);
    const later = await one.makeLog('later');
    await one.append(later, 'a');
    await refused('DELETE FROM entries_000002');
    await refused(`UPDATE entries_000002 SET payload = 'b'`);
    await refused('TRUNCATE entries_000002');
  });
});

test('an entry is erased by taking payload, digest and nonce at once, and nothing brings them back', async () => {
  const erase = 'UPDATE entries SET payload = NULL, digest = NULL, nonce = NULL WHERE log = $1 AND index = 7';
  expect((await one.database.query(erase, [log.id])).rowCount).toBe(1);
  expect((await one.database.query(erase, [log.id])).rowCount).toBe(1);
  await refused(`UPDATE entries SET payload = 'entry 7' WHERE log = ${log.id} AND index = 7`);
  await refused(`UPDATE entries SET digest = sha256('entry 7'), nonce = '' WHERE log = ${log.id} AND index = 7`);
  await recompute(one.database, log);
});

test('what must be one of its kind is', async () => {
  const twice = (sql: string) => expect(one.database.query(sql)).rejects.toMatchObject({ code: '23505' });
  await twice('INSERT INTO entries SELECT * FROM entries WHERE index = 5');
  await twice('INSERT INTO tiles SELECT * FROM tiles LIMIT 1');
  await twice('INSERT INTO checkpoints SELECT * FROM checkpoints LIMIT 1');
  await twice('INSERT INTO rounds SELECT number + 1, closed_at, previous_root, root, size, beacons FROM rounds');
  await twice(
    'INSERT INTO round_leaves SELECT round, index + 100, leaf, log, size FROM round_leaves WHERE log IS NOT NULL',
  );
  await twice('INSERT INTO stretches SELECT * FROM stretches LIMIT 1');
});
