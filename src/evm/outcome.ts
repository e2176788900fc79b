// Recording what was seen of transactions: each change of an anchor that takes something back leaves a trace.

import type { Database, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { Sighting } from './confirm.ts';

/**
 * Brings anchors and transactions to what was seen. Where `abandon`, what is superseded or without effect is given up
 * and its round pending again; else it stays as it is, for the operator.
 */
export async function recordSightings(
  database: Database,
  target: string,
  sightings: readonly Sighting[],
  { now, abandon }: { readonly now: number; readonly abandon: boolean },
): Promise<void> {
  const mined = sightings.filter((sighting) => 'block' in sighting);
  const nowhere = sightings.filter(({ seen }) => seen === 'nowhere').map(({ id }) => id);
  const lost = sightings.filter(({ seen }) => seen === 'superseded' || seen === 'without-effect').map(({ id }) => id);
  await transaction(database, async (tx) => {
    await traceMoved(tx, nowhere, mined, now);
    await tx.query(
      `WITH seen AS (
         SELECT * FROM unnest($1::bigint[], $2::boolean[], $3::bigint[], $4::bytea[], $5::bigint[])
           AS s (id, final, block_number, block_hash, block_time)),
       moved AS (
         UPDATE evm_transactions t SET status = CASE WHEN final THEN 'finalized' ELSE 'included' END
         FROM seen WHERE t.id = seen.id AND t.status IN ('signed', 'broadcast', 'included')
         RETURNING t.target, t.round, t.hash, seen.*)
       UPDATE anchors a SET
         status = CASE WHEN final THEN 'finalized' ELSE 'included' END, transaction = hash,
         block_number = moved.block_number, block_hash = moved.block_hash, block_time = moved.block_time,
         submitted_at = coalesce(submitted_at, $6),
         included_at = CASE WHEN a.block_hash = moved.block_hash THEN included_at ELSE $6 END,
         finalized_at = CASE WHEN final THEN $6 END, problem = NULL, updated_at = $6
       FROM moved WHERE a.target = moved.target AND a.round = moved.round
         AND (a.block_hash IS DISTINCT FROM moved.block_hash OR final)`,
      [
        mined.map(({ id }) => id),
        mined.map(({ seen }) => seen === 'final'),
        mined.map(({ block }) => block.number),
        mined.map(({ block }) => Buffer.from(block.hash.slice(2), 'hex')),
        mined.map(({ block }) => block.time),
        now,
      ],
    );
    await backToSubmitted(tx, nowhere, now);
    if (abandon) await giveUp(tx, target, lost, now);
  });
}

/** The block an anchor was in, where it is in none or in another one now. */
async function traceMoved(
  tx: Transaction,
  nowhere: readonly number[],
  mined: readonly { readonly id: number; readonly block: { readonly hash: string } }[],
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
     WHERE a.status = 'included' AND a.transaction = t.hash AND a.block_hash IS DISTINCT FROM seen.block_hash`,
    [nowhere, mined.map(({ id }) => id), mined.map(({ block }) => Buffer.from(block.hash.slice(2), 'hex')), now],
  );
}

/** `sent_at` 0: the stored bytes go out again at the next occasion. */
async function backToSubmitted(tx: Transaction, ids: readonly number[], now: number): Promise<void> {
  await tx.query(
    `WITH gone AS (
       UPDATE evm_transactions SET status = 'broadcast', sent_at = 0 WHERE id = ANY ($1::bigint[]) AND status = 'included'
       RETURNING target, round)
     UPDATE anchors a SET status = 'submitted', block_number = NULL, block_hash = NULL, block_time = NULL,
            included_at = NULL, updated_at = $2
     FROM gone WHERE a.target = gone.target AND a.round = gone.round`,
    [ids, now],
  );
}

async function giveUp(tx: Transaction, target: string, ids: readonly number[], now: number): Promise<void> {
  if (ids.length === 0) return;
  await tx.query(
    `INSERT INTO anchor_history
       (at, event, target, round, instance, status, transaction, block_number, block_hash, block_time)
     SELECT $3, 'abandoned', a.target, a.round, t.instance, a.status, t.hash, a.block_number, a.block_hash, a.block_time
     FROM evm_transactions t JOIN anchors a USING (target, round) WHERE t.id = ANY ($2::bigint[]) AND t.target = $1`,
    [target, ids, now],
  );
  await tx.query(
    `WITH lost AS (
       UPDATE evm_transactions SET status = 'abandoned' WHERE id = ANY ($1::bigint[]) RETURNING target, round)
     UPDATE anchors a SET status = 'pending', transaction = NULL, block_number = NULL, block_hash = NULL,
            block_time = NULL, submitted_at = NULL, included_at = NULL, updated_at = $2
     FROM lost WHERE a.target = lost.target AND a.round = lost.round`,
    [ids, now],
  );
}
