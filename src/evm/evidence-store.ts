// The rows of evidence: for each block that an anchor is in, whether there is a proof (stored-proofs.ts), or why not yet.

import type { AntequemError } from '../core/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import { ENCODER_VERSION, isOpaque, OPAQUE_CODES } from './block.ts';
import type { Observation } from './observation.ts';

/** Milliseconds. What is put off for longer was put off by a clock that was ahead. */
const DAY_MS = 24 * 3_600_000;

/** An anchor in a block that has no proof yet. */
export interface Wanted {
  round: number;
  transaction: Uint8Array;
  block_hash: Uint8Array;
  root: Uint8Array;
  attempts: number;
}

/** What a later try may do better. Anything else will hardly change. */
const PASSING: readonly string[] = ['rpc-failed', 'rpc-refused', 'rpc-throttled', 'block-unknown'];
const LAST_RETRY_MS = 600_000;
/** After so many tries it is an hour. */
const OFTEN = 20;
const LATE_RETRY_MS = 3_600_000;
/** How often what will hardly change is tried all the same: another endpoint may do what this one does not. */
const MOST_ATTEMPTS = 6;
/** Rounds of a target that are tried again at a time. Others wait until one of them has its proof. */
const MOST_RETRIED = 32;

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

export async function insertProblem(
  database: Database,
  target: string,
  { round, block_hash, transaction, attempts }: Wanted,
  problem: AntequemError,
  { now, retryAfter, hopeless }: { readonly now: number; readonly retryAfter: number; readonly hopeless: boolean },
): Promise<void> {
  const passing = PASSING.includes(problem.code);
  const tried = attempts + 1;
  const last = tried < OFTEN ? LAST_RETRY_MS : LATE_RETRY_MS;
  const again = passing || (!hopeless && tried < MOST_ATTEMPTS);
  await database.query(
    `WITH stale AS (
       DELETE FROM evm_evidence WHERE target = $1 AND round = $2 AND block_hash <> $3 AND index IS NULL),
     retried AS (
       SELECT count(*) AS rounds FROM evm_evidence WHERE target = $1 AND round <> $2 AND retry_at IS NOT NULL)
     INSERT INTO evm_evidence (target, round, block_hash, transaction, attempts, problem, code, encoder, retry_at, stored_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $10 OR rounds < ${MOST_RETRIED} THEN $9::bigint END, $11 FROM retried
     ON CONFLICT (target, round, block_hash) DO UPDATE SET
       transaction = EXCLUDED.transaction, attempts = EXCLUDED.attempts, problem = EXCLUDED.problem, code = EXCLUDED.code,
       encoder = EXCLUDED.encoder, retry_at = EXCLUDED.retry_at, stored_at = EXCLUDED.stored_at
     WHERE evm_evidence.index IS NULL`,
    [
      target,
      round,
      block_hash,
      transaction,
      tried,
      problem.message,
      problem.code,
      isOpaque(problem.code) ? ENCODER_VERSION : null,
      again ? now + Math.min(retryAfter * 2 ** Math.min(attempts, 10), last) : null,
      // These end by themselves, after some tries.
      !passing,
      now,
    ],
  );
}

const UNPROVEN = 'index IS NULL AND retry_at IS NULL';
/** Given up by a release that knew less. */
const BY_OLDER_RELEASE = `coalesce(encoder, 0) < ${ENCODER_VERSION} AND (code IS NULL OR code = ANY ($3::text[]))`;

/**
 * Proofs can be had again: those that waited for that are tried again, and those that a release gave up which knew less.
 * @param all whether also what this release gave up after fewer tries than it may take
 */
export async function retryAll(
  database: Database,
  target: string,
  { all, now }: { readonly all: boolean; readonly now: number },
): Promise<void> {
  await database.query(
    `UPDATE evm_evidence SET retry_at = $2
     WHERE target = $1 AND ${UNPROVEN}
       AND (${BY_OLDER_RELEASE} OR code = ANY ($4::text[]) OR ($5 AND attempts < ${MOST_ATTEMPTS}))`,
    [target, now, OPAQUE_CODES, PASSING, all],
  );
}

/**
 * At the start of a release that may know more than the one before: some of the rounds whose evidence that one gave up
 * are tried again. If one of them has its proof now, `retryAll` follows.
 */
export async function retryAfterUpgrade(database: Database, target: string, now: number): Promise<void> {
  await database.query(`DELETE FROM evm_opaque WHERE target = $1 AND encoder < ${ENCODER_VERSION}`, [target]);
  await database.query(
    `WITH given_up AS (
       SELECT round FROM evm_evidence JOIN anchors USING (target, round, block_hash)
       WHERE target = $1 AND ${UNPROVEN} AND ${BY_OLDER_RELEASE}),
     tried AS ((SELECT round FROM given_up ORDER BY round LIMIT ${MOST_RETRIED / 2})
       UNION (SELECT round FROM given_up ORDER BY round DESC LIMIT ${MOST_RETRIED / 2}))
     UPDATE evm_evidence e SET retry_at = $2 FROM tried WHERE e.target = $1 AND e.round = tried.round AND ${UNPROVEN}`,
    [target, now, OPAQUE_CODES],
  );
}

/** Anchors in blocks without a proof. */
export interface MissingProofs {
  readonly target: string;
  /** Of the error; `unknown`: noted by an older release. */
  readonly code: string;
  readonly rounds: number;
  /** Why, of the newest of them. */
  readonly says: string;
}

export async function missingProofs(database: Queryable): Promise<MissingProofs[]> {
  const { rows } = await database.query<MissingProofs>(
    `SELECT target, code, rounds, says FROM (
       SELECT target, coalesce(code, 'unknown') AS code, count(*) AS rounds, max(round) AS newest
       FROM evm_evidence WHERE index IS NULL GROUP BY 1, 2) m
     CROSS JOIN LATERAL (SELECT problem AS says FROM evm_evidence e
                         WHERE e.target = m.target AND e.round = m.newest AND e.index IS NULL LIMIT 1) n
     ORDER BY target, rounds DESC, code`,
  );
  return rows;
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
