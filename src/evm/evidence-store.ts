// The rows of evidence: a proof for each block that an anchor is in, or why there is none yet.

import { fromHex, prefixedHex } from '../core/bytes.ts';
import type { AntequemError } from '../core/errors.ts';
import { readHeader } from '../core/evm-bytes.ts';
import type { EvmProof } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { Observation } from './confirm.ts';

/** Milliseconds. What is put off for longer was put off by a clock that was ahead. */
const DAY_MS = 24 * 3_600_000;

/** An anchor in a block for which a proof is to be had. */
export interface Wanted {
  round: number;
  transaction: Uint8Array;
  block_hash: Uint8Array;
  root: Uint8Array;
  attempts: number;
}

/** The node answers to be found wanting: a later try may do better. Anything else will hardly change. */
const PASSING = new Set(['rpc-failed', 'rpc-refused', 'block-unknown']);
const LAST_RETRY_MS = 600_000;
/** How often what will hardly change is tried all the same: another endpoint may do what this one does not. */
const MOST_ATTEMPTS = 6;

/** Anchors in blocks for which there is no proof and one may be tried now. */
export async function wantedEvidence(
  database: Database,
  request: {
    readonly target: string;
    readonly rounds: readonly number[];
    readonly observations: readonly Observation[];
  },
  now: number,
): Promise<Wanted[]> {
  const { target, rounds, observations } = request;
  const mined = observations.filter((observation) => 'block' in observation);
  const { rows } = await database.query<Wanted>(
    `WITH found AS (
       SELECT * FROM unnest($3::bigint[], $4::bytea[], $5::bytea[]) AS s (round, transaction, block_hash)
       UNION
       SELECT a.round, a.transaction, a.block_hash FROM anchors a JOIN evm_evidence e USING (target, round, block_hash)
       WHERE a.target = $1 AND a.round = ANY ($2::bigint[]) AND (e.retry_at <= $6 OR e.retry_at > $6 + ${DAY_MS}))
     SELECT f.round, f.transaction, f.block_hash, r.root, coalesce(e.attempts, 0) AS attempts
     FROM found f JOIN rounds r ON r.number = f.round
     LEFT JOIN evm_evidence e ON e.target = $1 AND e.round = f.round AND e.block_hash = f.block_hash
     WHERE e.round IS NULL OR e.retry_at <= $6 OR e.retry_at > $6 + ${DAY_MS} ORDER BY f.round`,
    [
      target,
      rounds,
      mined.map(({ round }) => round),
      mined.map(({ hash }) => Buffer.from(hash)),
      mined.map(({ block }) => Buffer.from(block.hash.slice(2), 'hex')),
      now,
    ],
  );
  return rows;
}

export async function insertProof(
  database: Database,
  target: string,
  { round, block_hash, transaction, attempts }: Wanted,
  proof: EvmProof,
  now: number,
): Promise<void> {
  await database.query(
    `WITH stale AS (
       DELETE FROM evm_evidence WHERE target = $1 AND round = $2 AND block_hash <> $3 AND header IS NULL)
     INSERT INTO evm_evidence (target, round, block_hash, transaction, header, index, transaction_proof, receipt_proof,
                               log_index, attempts, stored_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (target, round, block_hash) DO UPDATE SET
       transaction = EXCLUDED.transaction, header = EXCLUDED.header, index = EXCLUDED.index, transaction_proof = EXCLUDED.transaction_proof,
       receipt_proof = EXCLUDED.receipt_proof, log_index = EXCLUDED.log_index, attempts = EXCLUDED.attempts,
       problem = NULL, retry_at = NULL, stored_at = EXCLUDED.stored_at
     WHERE evm_evidence.header IS NULL`,
    [
      target,
      round,
      block_hash,
      transaction,
      bufferOf(proof.header),
      proof.index,
      proof.transaction.map(bufferOf),
      proof.receipt.map(bufferOf),
      proof.logIndex,
      attempts + 1,
      now,
    ],
  );
}

export async function insertProblem(
  database: Database,
  target: string,
  { round, block_hash, transaction, attempts }: Wanted,
  problem: AntequemError,
  { now, retryAfter }: { readonly now: number; readonly retryAfter: number },
): Promise<void> {
  const passing = PASSING.has(problem.code);
  const wait = Math.min(retryAfter * 2 ** Math.min(attempts, 10), LAST_RETRY_MS);
  await database.query(
    `INSERT INTO evm_evidence (target, round, block_hash, transaction, attempts, problem, retry_at, stored_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (target, round, block_hash) DO UPDATE SET
       transaction = EXCLUDED.transaction, attempts = EXCLUDED.attempts, problem = EXCLUDED.problem, retry_at = EXCLUDED.retry_at, stored_at = EXCLUDED.stored_at
     WHERE evm_evidence.header IS NULL`,
    [
      target,
      round,
      block_hash,
      transaction,
      attempts + 1,
      problem.message,
      passing || attempts + 1 < MOST_ATTEMPTS ? now + wait : null,
      now,
    ],
  );
}

/** For each of the rounds whose anchor lacks a proof that will be tried again: milliseconds until then. */
export async function evidenceDue(
  database: Queryable,
  target: string,
  rounds: readonly number[],
  now: number,
): Promise<Map<number, number>> {
  const { rows } = await database.query<{ round: number; retry_at: number }>(
    `SELECT e.round, e.retry_at FROM evm_evidence e JOIN anchors a USING (target, round, block_hash)
     WHERE e.target = $1 AND e.round = ANY ($2::bigint[]) AND e.retry_at IS NOT NULL`,
    [target, rounds],
  );
  return new Map(rows.map(({ round, retry_at }) => [round, Math.max(0, retry_at - now)]));
}

/** The proof of an anchor, and what the header says of its block. */
export interface StoredProof {
  readonly block: { readonly number: number; readonly hash: string; readonly time: string };
  readonly proof: EvmProof;
}

/** The proofs of a round's anchors in the blocks they are recorded in, by target. */
export async function readEvidence(database: Queryable, round: number): Promise<Map<string, StoredProof>> {
  const { rows } = await database.query<{
    target: string;
    block_hash: Uint8Array;
    header: Uint8Array;
    index: number;
    transaction_proof: Uint8Array[];
    receipt_proof: Uint8Array[];
    log_index: number;
  }>({
    name: 'read-evidence',
    text: `SELECT e.target, e.block_hash, e.header, e.index, e.transaction_proof, e.receipt_proof, e.log_index
           FROM evm_evidence e JOIN anchors a USING (target, round, block_hash, transaction)
           WHERE e.round = $1 AND e.header IS NOT NULL`,
    values: [round],
  });
  return new Map(
    rows.map((row) => {
      const { number, time } = readHeader(new Uint8Array(row.header));
      return [
        row.target,
        {
          block: { number, hash: prefixedHex(row.block_hash), time: formatTime(time) },
          proof: {
            header: prefixedHex(row.header),
            index: row.index,
            transaction: row.transaction_proof.map(prefixedHex),
            receipt: row.receipt_proof.map(prefixedHex),
            logIndex: row.log_index,
          },
        },
      ];
    }),
  );
}

function bufferOf(hex: string): Buffer {
  return Buffer.from(fromHex(hex.slice(2)));
}
