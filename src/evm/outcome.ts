// Recording what was seen of transactions: each change of an anchor that takes something back leaves a trace.

import type { Database, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import { holdTurn, type Turn } from '../store/turn.ts';
import type { Observation } from './observation.ts';
import { type Purpose, STATE_TABLE } from './storing.ts';

type Mined = Extract<Observation, { seen: 'included' | 'final' }>;

export interface Recording {
  /** In which the observations were made. */
  readonly turn: Turn;
  /** Of the transactions that were looked at. */
  readonly purpose: Purpose;
  readonly now: number;
  /** Whether to give up by oneself what is lost for good; else that waits for the operator. */
  readonly abandon: boolean;
}

/** Brings anchors and transactions to what was seen. @throws AntequemError `turn-lost` */
export async function recordObservations(
  database: Database,
  observations: readonly Observation[],
  { turn, purpose, now, abandon }: Recording,
): Promise<void> {
  if (observations.length === 0) return;
  const mined = observations.filter((observation) => 'block' in observation);
  const here = observations.filter(({ seen }) => seen === 'unreceipted');
  const gone = observations.filter((observation) => !('block' in observation) && observation.seen !== 'unreceipted');
  const lost = gone.filter((observation) => 'settled' in observation);
  await transaction(database, async (tx) => {
    await holdTurn(tx, turn);
    if (purpose === 'round') await traceMoved(tx, gone, mined, now);
    await stepAside(tx, mined);
    await include(tx, mined, purpose, now);
    await closeNonces(tx, mined);
    await backToSubmitted(tx, gone, purpose, now);
    await noteLosses(tx, [...gone, ...here], { now, abandon });
    await giveUp(
      tx,
      lost.filter(
        (each) => each.settled && (each.cleared || (abandon && (each.seen === 'without-effect' || each.by !== null))),
      ),
      purpose,
      now,
    );
  });
}

/** The block an anchor was in, where it is in none or in another one now. */
async function traceMoved(
  tx: Transaction,
  gone: readonly Observation[],
  mined: readonly Mined[],
  now: number,
): Promise<void> {
  await tx.query(
    `WITH seen AS (
       SELECT id, NULL::bytea AS block_hash FROM unnest($1::bigint[]) AS n (id)
       UNION ALL SELECT * FROM unnest($2::bigint[], $3::bytea[]))
     INSERT INTO anchor_history
       (at, event, target, round, instance, status, transaction, block_number, block_hash, block_time)
     SELECT $4, 'reorganized', a.target, a.round, t.instance, a.status, a.transaction,
            a.block_number, a.block_hash, a.block_time
     FROM seen JOIN evm_transactions t USING (id) JOIN anchors a ON a.target = t.target AND a.round = t.round
     WHERE a.status = 'included' AND a.block_hash IS DISTINCT FROM seen.block_hash`,
    [idsOf(gone), idsOf(mined), mined.map(blockHash), now],
  );
}

/** An attempt that was outbid may be mined all the same: it is then the live one, and whatever outbid it is not. */
async function stepAside(tx: Transaction, mined: readonly Mined[]): Promise<void> {
  const others = mined.flatMap(({ others }) => others);
  if (others.length === 0) return;
  await tx.query(
    `UPDATE evm_transactions SET status = 'replaced', cost = NULL
     WHERE id = ANY ($1::bigint[]) AND status IN ('signed', 'broadcast', 'included')`,
    [others],
  );
}

async function include(tx: Transaction, mined: readonly Mined[], purpose: Purpose, now: number): Promise<void> {
  await tx.query(
    `WITH seen AS (
       SELECT * FROM unnest($1::bigint[], $2::boolean[], $3::bigint[], $4::bytea[], $5::bigint[], $6::numeric[])
         AS s (id, final, block_number, block_hash, block_time, cost)),
     moved AS (
       UPDATE evm_transactions t SET status = CASE WHEN final THEN 'finalized' ELSE 'included' END, cost = seen.cost,
              lost_at = NULL, cleared_at = NULL, sent_at = CASE WHEN NOT final THEN sent_at END,
              first_sent_at = CASE WHEN NOT final THEN first_sent_at END
       FROM seen WHERE t.id = seen.id AND t.status IN ('signed', 'broadcast', 'included', 'replaced')
       RETURNING t.target, t.round, t.hash, seen.*)
     UPDATE ${STATE_TABLE[purpose]} a SET
       status = CASE WHEN final THEN 'finalized' ELSE 'included' END, transaction = hash,
       block_number = moved.block_number, block_hash = moved.block_hash, block_time = moved.block_time,
       submitted_at = coalesce(submitted_at, $7),
       included_at = CASE WHEN a.block_hash = moved.block_hash THEN included_at ELSE $7 END,
       finalized_at = CASE WHEN final THEN $7 END, problem = NULL, updated_at = $7
     FROM moved WHERE a.target = moved.target AND a.round = moved.round AND a.status <> 'finalized'
       AND (a.block_hash IS DISTINCT FROM moved.block_hash OR final)`,
    [
      idsOf(mined),
      mined.map(({ seen }) => seen === 'final'),
      mined.map(({ block }) => block.number),
      mined.map(blockHash),
      mined.map(({ block }) => block.time),
      mined.map(({ cost }) => cost?.toString() ?? null),
      now,
    ],
  );
}

/** Once one attempt is final the others can never be mined. */
async function closeNonces(tx: Transaction, mined: readonly Mined[]): Promise<void> {
  const others = mined.flatMap(({ seen, others }) => (seen === 'final' ? others : []));
  if (others.length === 0) return;
  await tx.query(`UPDATE evm_transactions SET status = 'abandoned' WHERE id = ANY ($1::bigint[])`, [others]);
}

/** `sent_at` 0: the stored bytes go out again at the next occasion. How long they wait is counted anew. */
async function backToSubmitted(
  tx: Transaction,
  gone: readonly Observation[],
  purpose: Purpose,
  now: number,
): Promise<void> {
  if (gone.length === 0) return;
  await tx.query(
    `WITH gone AS (
       UPDATE evm_transactions SET status = 'broadcast', sent_at = 0, first_sent_at = NULL, cost = NULL
       WHERE id = ANY ($1::bigint[]) AND status = 'included'
       RETURNING target, round)
     UPDATE ${STATE_TABLE[purpose]} a SET status = 'submitted', block_number = NULL, block_hash = NULL, block_time = NULL,
            included_at = NULL, updated_at = $2
     FROM gone WHERE a.target = gone.target AND a.round = gone.round AND a.status = 'included'`,
    [gone.flatMap(({ id, others }) => [id, ...others]), now],
  );
}

/** Since when what is lost is known to be so. Where that is gone along with, nobody needs to know. */
async function noteLosses(
  tx: Transaction,
  seen: readonly Observation[],
  { now, abandon }: Pick<Recording, 'now' | 'abandon'>,
): Promise<void> {
  const found = seen.filter((observation) => !('settled' in observation) && observation.lostAt !== null);
  const lost = seen.filter((observation) => 'settled' in observation && observation.lostAt === null);
  if (found.length > 0) {
    await tx.query('UPDATE evm_transactions SET lost_at = NULL, cleared_at = NULL WHERE id = ANY ($1::bigint[])', [
      found.flatMap(({ id, others }) => [id, ...others]),
    ]);
  }
  if (lost.length > 0 && !abandon) {
    await tx.query('UPDATE evm_transactions SET lost_at = $2 WHERE id = ANY ($1::bigint[])', [idsOf(lost), now]);
  }
}

async function giveUp(
  tx: Transaction,
  lost: readonly Extract<Observation, { settled: boolean }>[],
  purpose: Purpose,
  now: number,
): Promise<void> {
  if (lost.length === 0) return;
  const costs = lost.map((observation) => ('cost' in observation ? (observation.cost?.toString() ?? null) : null));
  await tx.query(
    `INSERT INTO anchor_history
       (at, event, target, round, instance, status, transaction, block_number, block_hash, block_time)
     SELECT $2, 'abandoned', a.target, a.round, t.instance, a.status, t.hash, a.block_number, a.block_hash, a.block_time
     FROM evm_transactions t JOIN ${STATE_TABLE[purpose]} a USING (target, round) WHERE t.id = ANY ($1::bigint[])`,
    [idsOf(lost), now],
  );
  await tx.query(
    `WITH lost AS (SELECT * FROM unnest($1::bigint[], $2::numeric[]) AS l (id, cost)),
     given AS (
       UPDATE evm_transactions t SET status = 'abandoned', cost = lost.cost FROM lost WHERE t.id = lost.id
       RETURNING target, round)
     UPDATE ${STATE_TABLE[purpose]} a SET status = 'pending', transaction = NULL, block_number = NULL, block_hash = NULL,
            block_time = NULL, submitted_at = NULL, included_at = NULL, updated_at = $3
     FROM given WHERE a.target = given.target AND a.round = given.round`,
    [idsOf(lost), costs, now],
  );
  await tx.query(`UPDATE evm_transactions SET status = 'abandoned' WHERE id = ANY ($1::bigint[])`, [
    lost.flatMap(({ others }) => others),
  ]);
}

function idsOf(observations: readonly Observation[]): number[] {
  return observations.map(({ id }) => id);
}

function blockHash({ block }: Mined): Buffer {
  return Buffer.from(block.hash.slice(2), 'hex');
}
