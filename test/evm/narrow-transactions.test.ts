import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { spentInADay } from '../../src/evm/budget.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const FOLDER = new URL('../../src/store/migrations/', import.meta.url);
const NARROW = '0045_narrow-transactions.sql';
const account = (digit: number): { chain: string; address: string } => ({
  chain: `eip155:${digit}`,
  address: `0x${`${digit}`.repeat(40)}`,
});

let server: TestDatabase;
let client: pg.Client;
let database: Database;

/** Two accounts, of which one outbid itself in round 1 and gave up round 2, as the release before stored that. */
beforeAll(async () => {
  server = await testDatabase({ empty: true });
  client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query('CREATE TABLE migrations (name text PRIMARY KEY, run_at timestamptz NOT NULL DEFAULT now())');
  const older = readdirSync(FOLDER).filter((name) => name.endsWith('.sql') && name < NARROW);
  for (const name of older.sort()) {
    await client.query(readFileSync(new URL(name, FOLDER), 'utf8'));
    await client.query('INSERT INTO migrations (name) VALUES ($1)', [name]);
  }
  for (const digit of [1, 2]) {
    const { chain, address } = account(digit);
    await client.query(
      `INSERT INTO targets (name, chain, contract, mode, ephemeral, first_round, created_at)
       VALUES ($1, $2, '0x' || repeat('0', 40), 'anchor', false, 1, 0)`,
      [`t${digit}`, chain],
    );
    await client.query('INSERT INTO evm_accounts (chain, address, target, created_at) VALUES ($1, $2, $3, 0)', [
      chain,
      address,
      `t${digit}`,
    ]);
  }
  await client.query(
    `INSERT INTO rounds (number, closed_at, previous_root, beacons, root, size) SELECT n, n, sha256('\\x00'), '[]', sha256(n::text::bytea), 1 FROM generate_series(1, 4) n`,
  );
  await client.query(
    `INSERT INTO anchors (target, round, created_at, updated_at) SELECT name, number, 0, 0 FROM targets, rounds`,
  );
  await client.query(
    `INSERT INTO evm_transactions (target, round, chain, sender, instance, nonce, hash, raw, gas_limit, max_fee, priority_fee, status,
                                   signed_at, cost, stores)
     SELECT 't' || digit, round, 'eip155:' || digit, '0x' || repeat(digit::text, 40), 1, nonce, sha256(status::bytea), '\\x02', 10, 3, 1, status,
            1000, cost, true
     FROM (VALUES (1, 1, 0, 'replaced', NULL), (1, 1, 0, 'replaced', NULL), (1, 1, 0, 'finalized', 7), (1, 2, 1, 'abandoned', NULL),
                  (1, 2, 2, 'included', 20), (1, 3, 3, 'broadcast', NULL), (2, 1, 0, 'finalized', 5)) AS v (digit, round, nonce, status, cost)`,
  );
  await migrate(server.url);
  database = openDatabase(server.url, { connections: 1 });
});
afterAll(async () => {
  await database?.end();
  await client?.end();
  await server?.drop();
});

test('transactions of an older release keep their accounts, and what these spent', async () => {
  const { rows } = await client.query(
    `SELECT a.chain, a.address, count(*)::int AS transactions FROM evm_transactions t JOIN evm_accounts a ON a.id = t.account
     GROUP BY 1, 2 ORDER BY 1`,
  );
  expect(rows).toEqual([
    { ...account(1), transactions: 6 },
    { ...account(2), transactions: 1 },
  ]);
  // 7 and 20 were paid; the one that waits may take 30, the one that was given up nothing.
  expect(await spentInADay(database, account(1), 2_000)).toBe(57n);
  expect(await spentInADay(database, account(2), 2_000)).toBe(5n);
  expect(await spentInADay(database, account(1), 2_000 + 24 * 3_600_000)).toBe(0n);
});

const add = (round: number, nonce: number, status: string): Promise<unknown> =>
  client.query(
    `INSERT INTO evm_transactions (target, round, account, instance, nonce, hash, raw, gas_limit, max_fee, priority_fee, status,
                                   signed_at, stores)
     SELECT target, $1, account, 1, $2, hash, raw, 10, 3, 1, $3, 1000, true FROM evm_transactions WHERE target = 't1' ORDER BY id LIMIT 1`,
    [round, nonce, status],
  );

test.each([
  ['another transaction for a round that has a final one', 1, 9],
  ['another one for a round whose transaction waits', 3, 9],
  ['a nonce that a transaction in a block has', 4, 2],
  ['a nonce that a transaction has which waits', 4, 3],
])('the database refuses %s', async (_, round, nonce) => {
  await expect(add(round, nonce, 'signed')).rejects.toMatchObject({ code: '23505' });
});

test('it takes one for a round and a nonce that were given up', async () => {
  await client.query('BEGIN');
  await client.query(`UPDATE evm_transactions SET status = 'abandoned' WHERE target = 't1' AND round = 3`);
  await add(3, 3, 'signed');
  await client.query('ROLLBACK');
});

test.each(['account = 2', 'nonce = 9', `raw = '\\x03'`, 'round = 4'])(
  'a signed transaction is not changed: %s',
  async (change) => {
    await expect(client.query(`UPDATE evm_transactions SET ${change} WHERE target = 't1'`)).rejects.toMatchObject({
      code: '23001',
    });
  },
);
