import { afterAll, beforeAll, expect, it } from 'vitest';
import { receiptAnchors, roundsAnchors } from '../../src/anchor/anchors.ts';
import { summarizeTargets } from '../../src/anchor/report.ts';
import { KINDS } from '../../src/kinds.ts';
import { type Database, openDatabase, type Transaction } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { makeUpRounds } from '../support/made-up-rounds.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const COUNT = 5_000;
let server: TestDatabase;
let database: Database;
let client: Transaction;

beforeAll(async () => {
  server = await testDatabase();
  await migrate(server.url);
  database = openDatabase(server.url, { connections: 1 });
  client = await database.connect();
  await makeUpRounds(client, COUNT);
});
afterAll(async () => {
  client.release();
  await database.end();
  await server.drop();
});

/** Rows that this connection has looked at. */
async function rowsSoFar(): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    'SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint AS count FROM pg_stat_xact_user_tables',
  );
  return rows[0]?.count ?? 0;
}

/** Rows that the database looks at for this. In a transaction: outside of it what was counted is handed on now and then. */
async function rowsRead(work: () => Promise<unknown>): Promise<number> {
  await client.query('BEGIN');
  const before = await rowsSoFar();
  await work();
  const after = await rowsSoFar();
  await client.query('ROLLBACK');
  return after - before;
}

it.each<[string, () => Promise<unknown>, number]>([
  ['the anchors of a round', () => roundsAnchors(KINDS, client, [COUNT - 50]), 50],
  ['the anchors of a round in its receipts', () => receiptAnchors(KINDS, client, COUNT - 50), 50],
  ['the anchors of three rounds', () => roundsAnchors(KINDS, client, [7, 70, 700]), 100],
  ['the figures of all targets', () => summarizeTargets(client), 50],
])('%s are read without looking at those of others', async (_, read, most) => {
  const rows = await rowsRead(read);
  expect(rows).toBeGreaterThan(0);
  expect(rows).toBeLessThan(most);
});

it('anchors are counted by their status', async () => {
  await client.query('BEGIN');
  await client.query(
    `UPDATE targets SET ephemeral = true;
     UPDATE anchors SET status = 'included', finalized_at = NULL WHERE target = 'year' AND round > ${COUNT - 3};
     UPDATE anchors SET status = 'pending', finalized_at = NULL, transaction = NULL, block_number = NULL, block_hash = NULL,
       block_time = NULL WHERE target = 'year' AND round = ${COUNT}`,
  );
  const summaries = await summarizeTargets(client);
  await client.query('ROLLBACK');
  expect(summaries.map(({ name, anchors, oldest }) => [name, anchors, oldest?.round])).toEqual([
    ['year', { pending: 1, submitted: 0, included: 2, finalized: COUNT - 3 }, COUNT - 2],
    ['year-ots', { pending: 0, submitted: 0, included: 0, finalized: COUNT }, undefined],
  ]);
});
