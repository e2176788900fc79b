// Rows of rounds that never were: what a service has of them after a year, without a year of work.

import { RLP } from '@ethereumjs/rlp';
import type pg from 'pg';

const TARGET = 'year';
const CHAIN = 'eip155:1';
const CALENDARS = 'year-ots';
const SENDER = `0x${'5e'.repeat(20)}`;
const MINUTE_MS = 60_000;

/** A header that reads as one. */
const HEADER = Buffer.from(
  RLP.encode(
    [32, 32, 20, 32, 32, 32, 256, 0, 4, 4, 4, 4, 8, 32, 8, 4, 32].map((length, i) =>
      new Uint8Array(length).fill(i + 1),
    ),
  ),
);

/**
 * Makes up rounds 1 to `count`, one a minute until now, each final on an EVM chain and in Bitcoin, of every fiftieth two
 * transactions. The database must have no round yet.
 */
export async function makeUpRounds(client: Pick<pg.Client, 'query'>, count: number): Promise<void> {
  const first = Date.now() - count * MINUTE_MS;
  const at = `${first} + n::bigint * ${MINUTE_MS}`;
  await client.query('BEGIN; SET LOCAL session_replication_role = replica');
  const statements = [
    `INSERT INTO targets (name, kind, chain, contract, mode, ephemeral, first_round, created_at) VALUES
       ('${TARGET}', 'evm', '${CHAIN}', '0x${'0'.repeat(40)}', 'anchor', false, 1, ${first}),
       ('${CALENDARS}', 'opentimestamps', 'bip122:000000000019d6689c085ae165831e93', NULL, NULL, false, 1, ${first})`,
    `INSERT INTO evm_accounts (chain, address, target, next_nonce, created_at, declared_at, balance, balance_low, balance_at)
     VALUES ('${CHAIN}', '${SENDER}', '${TARGET}', ${count} + 1, ${first}, ${first}, 1e18, false, ${Date.now()})`,
    `INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons)
     SELECT n, ${at}, sha256((n - 1)::text::bytea), sha256(n::text::bytea), 1, '[]' FROM generate_series(1, ${count}) n`,
    `INSERT INTO packed_leaves (round, link, checkpoints, digests) SELECT n, '\\x80', '', '' FROM generate_series(1, ${count}) n`,
    `INSERT INTO ots_requests (id, target, round, kind, calendar, message, attempts, created_at, tried_at, answered_at)
     OVERRIDING SYSTEM VALUE
     SELECT n * 2 + k, '${CALENDARS}', n, (ARRAY['submit', 'upgrade'])[k + 1], 'https://calendar.test', sha256((n * 2 + k)::text::bytea),
            1, ${at}, ${at}, ${at}
     FROM generate_series(1, ${count}) n, generate_series(0, 1) k`,
    `INSERT INTO ots_attestations (request, height, merkle_root, state, block_hash, found_at)
     SELECT n * 2 + 1, n / 10, sha256(n::text::bytea), 'buried', sha256((n / 10)::text::bytea), ${at}
     FROM generate_series(1, ${count}) n`,
    `INSERT INTO ots_blocks SELECT sha256(n::text::bytea), decode(repeat('00', 80), 'hex') FROM generate_series(0, ${count} / 10) n`,
    `INSERT INTO anchors (target, kind, round, status, block_number, block_hash, block_time, created_at, submitted_at, included_at,
                          finalized_at, updated_at)
     SELECT '${CALENDARS}', 'opentimestamps', n, 'finalized', n / 10, sha256((n / 10)::text::bytea), ${at}, ${at}, ${at}, ${at}, ${at}, ${at}
     FROM generate_series(1, ${count}) n`,
  ];
  for (const statement of statements) await client.query(statement);
  await makeUpAnchors(client, 1, count);
  await client.query('COMMIT');
  await client.query('ANALYZE');
}

/** Makes up the anchors of these rounds, which are there, on the EVM chain. */
export async function makeUpAnchors(client: Pick<pg.Client, 'query'>, first: number, last: number): Promise<void> {
  const rounds = `FROM rounds WHERE number BETWEEN ${first} AND ${last}`;
  const hash = (what: string): string => `sha256('${what}' || number::text::bytea)`;
  await client.query(
    `INSERT INTO anchors (target, kind, round, status, transaction, block_number, block_hash, block_time, created_at, submitted_at,
                          included_at, finalized_at, updated_at)
     SELECT '${TARGET}', 'evm', number, 'finalized', ${hash('t')}, number, ${hash('b')}, closed_at, closed_at, closed_at, closed_at,
            closed_at, closed_at ${rounds}`,
  );
  await client.query(
    `INSERT INTO evm_evidence (target, round, block_hash, transaction, header, index, transaction_proof, receipt_proof, log_index,
                               attempts, stored_at)
     SELECT '${TARGET}', number, ${hash('b')}, ${hash('t')}, $1, 0, ARRAY[$2::bytea], ARRAY[$2::bytea], 0, 1, closed_at ${rounds}`,
    [HEADER, Buffer.alloc(600, 0x5e)],
  );
  for (const [status, chosen] of [
    ['finalized', 'true'],
    ['abandoned', 'number % 50 = 0'],
  ]) {
    await client.query(
      `INSERT INTO evm_transactions (target, round, account, instance, nonce, hash, raw, gas_limit, max_fee, priority_fee, status,
                                     signed_at, sent_at, cost)
       SELECT '${TARGET}', number, (SELECT id FROM evm_accounts WHERE address = '${SENDER}'), 1, number, ${hash(status ?? '')}, decode(repeat('00', 140), 'hex'), 60000, 3e10, 1e9,
              '${status}', closed_at, closed_at, CASE WHEN '${status}' = 'finalized' THEN 1e15 END ${rounds} AND ${chosen}`,
    );
  }
}
