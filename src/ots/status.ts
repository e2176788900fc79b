// The status of a round, from the answers of its calendars and the Bitcoin blocks they lead to. When a status is taken back, the
// earlier one is kept in the history.

import { parseHeader } from '../core/bitcoin-header.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Transaction } from '../store/database.ts';
import type { Pace } from './pace.ts';

export interface Rules {
  /** Number of calendars that must have answered before a round counts as submitted. */
  readonly minCalendars: number;
  readonly pace: Pace;
}

type Status = 'pending' | 'submitted' | 'included' | 'finalized';

interface AnchorRow {
  round: number;
  status: Status;
  block_hash: Uint8Array | null;
  problem: string | null;
  answered: number;
  /** Whether something waits to be looked up. */
  unsettled: boolean;
}

interface BlockRow {
  round: number;
  state: 'included' | 'confirmed' | 'buried';
  height: number;
  header: Uint8Array;
  block_hash: Uint8Array;
}

/** Locks the anchors of these rounds, before anything of them is changed: two processes then take turns. */
export async function lockRounds(tx: Transaction, target: string, rounds: readonly number[]): Promise<void> {
  await tx.query('SELECT FROM anchors WHERE target = $1 AND round = ANY ($2::bigint[]) ORDER BY round FOR UPDATE', [
    target,
    rounds,
  ]);
}

/**
 * Updates the anchors of these rounds.
 * @param trouble why Bitcoin blocks could not be looked up; null: they could; undefined: as before
 */
export async function settle(
  tx: Transaction,
  target: string,
  rounds: readonly number[],
  { minCalendars }: Rules,
  now: number,
  trouble?: string | null,
): Promise<void> {
  await lockRounds(tx, target, rounds);
  const { rows: anchors } = await tx.query<AnchorRow>(
    `SELECT a.round, a.status, a.block_hash, a.problem,
            (SELECT count(*) FROM ots_requests q WHERE q.target = a.target AND q.round = a.round
             AND q.kind = 'submit' AND EXISTS (SELECT FROM ots_answers n WHERE n.request = q.id)) AS answered,
            EXISTS (SELECT FROM ots_requests q JOIN ots_attestations t ON t.request = q.id
                    WHERE q.target = a.target AND q.round = a.round AND t.state <> 'contradicted') AS unsettled
     FROM anchors a WHERE a.target = $1 AND a.round = ANY ($2::bigint[]) ORDER BY a.round`,
    [target, rounds],
  );
  const { rows: blocks } = await tx.query<BlockRow>(
    `SELECT q.round, t.state, t.height, b.header, t.block_hash
     FROM ots_requests q JOIN ots_attestations t ON t.request = q.id JOIN ots_blocks b USING (block_hash)
     WHERE q.target = $1 AND q.round = ANY ($2::bigint[]) ORDER BY t.height`,
    [target, rounds],
  );
  const byRound = Map.groupBy(blocks, ({ round }) => round);
  for (const anchor of anchors) {
    const { status, block } = statusOf(anchor, byRound.get(anchor.round) ?? [], minCalendars);
    const problem = problemOf({ ...anchor, status }, minCalendars, trouble);
    const same = block === null ? anchor.block_hash === null : isSame(anchor.block_hash, block.block_hash);
    if (status === anchor.status && same && problem === anchor.problem) continue;
    if (anchor.block_hash !== null && !same) await trace(tx, target, anchor.round, now);
    await write(tx, target, anchor.round, { status, block, problem, now });
  }
}

function statusOf(
  anchor: AnchorRow,
  blocks: readonly BlockRow[],
  minCalendars: number,
): { readonly status: Status; readonly block: BlockRow | null } {
  const final = blocks.filter(({ state }) => state !== 'included');
  const candidates = final.length > 0 ? final : blocks;
  // The block that it has is kept while it counts; else the earliest is taken.
  const block = candidates.find(({ block_hash }) => isSame(anchor.block_hash, block_hash)) ?? candidates[0] ?? null;
  if (block !== null) return { status: final.length > 0 ? 'finalized' : 'included', block };
  return { status: anchor.answered >= minCalendars ? 'submitted' : 'pending', block: null };
}

function problemOf(anchor: AnchorRow, minCalendars: number, trouble: string | null | undefined): string | null {
  switch (anchor.status) {
    case 'pending':
      return `${anchor.answered} of the ${minCalendars} calendars that are enough have answered`;
    case 'finalized':
      return null;
    default:
      return !anchor.unsettled ? null : trouble === undefined ? anchor.problem : trouble;
  }
}

function isSame(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && equalBytes(a, b);
}

/** Records the anchor as it was before a reorganization removed its block. */
async function trace(tx: Transaction, target: string, round: number, now: number): Promise<void> {
  await tx.query(
    `INSERT INTO anchor_history (at, event, target, round, instance, status, block_number, block_hash, block_time)
     SELECT $3, 'reorganized', a.target, a.round, t.instance, a.status, a.block_number, a.block_hash, a.block_time
     FROM anchors a JOIN targets t ON t.name = a.target WHERE a.target = $1 AND a.round = $2`,
    [target, round, now],
  );
}

interface RoundStatus {
  readonly status: Status;
  readonly block: BlockRow | null;
  readonly problem: string | null;
  readonly now: number;
}

async function write(
  tx: Transaction,
  target: string,
  round: number,
  { status, block, problem, now }: RoundStatus,
): Promise<void> {
  await tx.query(
    `UPDATE anchors SET status = $3, block_number = $4, block_hash = $5, block_time = $6, problem = $7, updated_at = $8,
       submitted_at = CASE WHEN $3 <> 'pending' THEN coalesce(submitted_at, $8) END,
       included_at = CASE WHEN $3 IN ('included', 'finalized') THEN coalesce(included_at, $8) END,
       finalized_at = CASE WHEN $3 = 'finalized' THEN coalesce(finalized_at, $8) END
     WHERE target = $1 AND round = $2`,
    [
      target,
      round,
      status,
      block?.height ?? null,
      block === null ? null : Buffer.from(block.block_hash),
      block === null ? null : parseHeader(block.header).time,
      problem,
      now,
    ],
  );
}
