// Looks up the Bitcoin blocks that calendars name. `included` is provisional, `confirmed` is deep enough; both are checked again
// until the block is `buried`, deeper than any known reorganization.

import { parseHeader } from '../core/bitcoin-header.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { equalBytes, fromHex, toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import { lockRounds, type Rules, settle } from './status.ts';

export interface BlockLookup {
  readonly target: string;
  /** Null: all rounds with blocks that are confirmed and not buried. */
  readonly rounds: readonly number[] | null;
  readonly rules: Rules & {
    /** Blocks, including the one with the anchor, from which on it is confirmed. */
    readonly confirmations: number;
    /** Blocks from which on it is buried and not checked again. */
    readonly burial: number;
  };
  readonly now: () => number;
}

export const NO_SOURCE =
  'no source of Bitcoin headers is configured (BITCOIN_RPC_URL, BITCOIN_ESPLORA_URL): the proof is stored and not confirmed';

interface Row {
  request: number;
  round: number;
  height: number;
  merkle_root: Uint8Array;
  state: 'unseen' | 'included' | 'confirmed' | 'contradicted';
  block_hash: Uint8Array | null;
}

type Observation = Row &
  (
    | { readonly seen: 'there'; readonly header: Uint8Array; readonly hash: Uint8Array; readonly depth: number }
    | { readonly seen: 'other'; readonly hash: string }
    | { readonly seen: 'nothing' }
    | { readonly seen: 'unknown'; readonly problem: string }
  );

const AT_ONCE = 1_000;

/**
 * Looks up all blocks that are due.
 * @returns why some could not be looked up; null: all were; undefined: nothing was due
 */
export async function confirm(
  database: Database,
  source: HeaderSource | null,
  confirmation: BlockLookup,
): Promise<string | null | undefined> {
  if (source === null) return NO_SOURCE;
  const due = await claimDue(database, confirmation);
  if (due.length === 0) return undefined;
  const { observations, failure } = await look(
    source,
    due,
    confirmation.now() + confirmation.rules.pace.lookup / 2,
    confirmation.now,
  );
  const rounds = [...new Set(due.map(({ round }) => round))].sort((a, b) => a - b);
  const { target, rules, now } = confirmation;
  await transaction(database, async (tx) => {
    await lockRounds(tx, target, rounds);
    await storeHeaders(tx, observations);
    await record(tx, observations, confirmation);
    await reopen(tx, observations, now());
    await settle(tx, target, rounds, rules, now(), failure);
  });
  return failure;
}

async function claimDue(database: Database, { target, rounds, rules, now }: BlockLookup): Promise<Row[]> {
  const { rows } = await database.query<Row>(
    `UPDATE ots_attestations a SET next_at = $4 FROM ots_requests q
     WHERE q.id = a.request AND (a.request, a.height, a.merkle_root) IN (
       SELECT t.request, t.height, t.merkle_root FROM ots_attestations t JOIN ots_requests r ON r.id = t.request
       WHERE r.target = $1 AND t.next_at <= $3
         AND CASE WHEN $2::bigint[] IS NULL THEN t.state = 'confirmed' ELSE r.round = ANY ($2) END
       ORDER BY t.height LIMIT ${AT_ONCE} FOR UPDATE OF t SKIP LOCKED)
     RETURNING a.request, q.round, a.height, a.merkle_root, a.state, a.block_hash`,
    [target, rounds, now(), now() + rules.pace.lookup],
  );
  return rows;
}

async function look(
  source: HeaderSource,
  rows: readonly Row[],
  deadline: number,
  now: () => number,
): Promise<{ readonly observations: Observation[]; readonly failure: string | null }> {
  const observations: Observation[] = [];
  let failure: string | null = null;
  // Requested before the headers: a block that is found afterwards is at least so deep.
  const tip = await source.height().catch((error: unknown) => {
    failure = reasonOf(error);
    return 0;
  });
  for (const [height, group] of Map.groupBy(rows, (row) => row.height)) {
    if (failure === null && now() > deadline) failure = 'there was no time for all of it; it goes on at the next look';
    const block =
      failure === null
        ? await source.header(height).catch((error: unknown) => {
            failure = reasonOf(error);
            return null;
          })
        : null;
    for (const row of group) {
      if (failure !== null) observations.push({ ...row, seen: 'unknown', problem: failure });
      else if (block === null) observations.push({ ...row, seen: 'nothing' });
      else if (equalBytes(parseHeader(block.header).merkleRoot, row.merkle_root)) {
        const depth = tip - height + 1;
        observations.push({ ...row, seen: 'there', header: block.header, hash: fromHex(block.hash), depth });
      } else observations.push({ ...row, seen: 'other', hash: block.hash });
    }
  }
  return { observations, failure };
}

/** The message of an error of the source; other errors are thrown. */
function reasonOf(error: unknown): string {
  if (error instanceof AntequemError) return error.message;
  throw error;
}

const DAY_MS = 86_400_000;

/** Once for all rounds and calendars that lead to a block. */
async function storeHeaders(tx: Transaction, observations: readonly Observation[]): Promise<void> {
  const there = observations.filter((observation) => observation.seen === 'there');
  const headers = new Map(there.map(({ hash, header }) => [toHex(hash), { hash, header }]));
  if (headers.size === 0) return;
  await tx.query(
    `INSERT INTO ots_blocks SELECT block_hash, header FROM unnest($1::bytea[], $2::bytea[]) AS b (block_hash, header)
     ORDER BY block_hash ON CONFLICT DO NOTHING`,
    [
      [...headers.values()].map(({ hash }) => Buffer.from(hash)),
      [...headers.values()].map(({ header }) => Buffer.from(header)),
    ],
  );
}

async function record(
  tx: Transaction,
  observations: readonly Observation[],
  { rules: { pace, confirmations, burial }, now }: BlockLookup,
): Promise<void> {
  for (const observation of observations) {
    const key = [observation.request, observation.height, observation.merkle_root];
    if (observation.seen === 'there') {
      const { hash, depth } = observation;
      const was =
        observation.state === 'confirmed' &&
        observation.block_hash !== null &&
        equalBytes(observation.block_hash, hash);
      const state = depth >= burial ? 'buried' : depth >= confirmations || was ? 'confirmed' : 'included';
      const next = state === 'buried' ? null : now() + (state === 'confirmed' ? pace.watch : pace.confirm);
      await tx.query(
        `UPDATE ots_attestations SET state = $4, block_hash = $5, next_at = $6, problem = NULL
         WHERE request = $1 AND height = $2 AND merkle_root = $3 AND state <> 'buried'`,
        [...key, state, Buffer.from(hash), next],
      );
    } else if (observation.seen === 'other') {
      await tx.query(
        `UPDATE ots_attestations SET state = 'contradicted', block_hash = NULL, next_at = $4, problem = $5
         WHERE request = $1 AND height = $2 AND merkle_root = $3 AND state <> 'buried'`,
        [
          ...key,
          now() + pace.watch,
          `block ${observation.height} is ${observation.hash}, which has another merkle root`,
        ],
      );
    } else {
      // A source without such a block, or without an answer, does not contradict what was seen.
      const problem =
        observation.seen === 'unknown' ? observation.problem : `there is no block ${observation.height} yet`;
      await tx.query(
        // The longer the block is missing, the later the next look: the height may never be reached.
        `UPDATE ots_attestations SET next_at = $4::bigint + least(greatest($6::bigint, ($4 - found_at) / 8), ${DAY_MS}), problem = $5
         WHERE request = $1 AND height = $2 AND merkle_root = $3 AND state <> 'buried'`,
        [...key, now(), problem, pace.confirm],
      );
    }
  }
}

/** Calendars whose block is gone are asked again; those whose block is back are not. */
async function reopen(tx: Transaction, observations: readonly Observation[], now: number): Promise<void> {
  const changed = (from: (state: Row['state']) => boolean, seen: Observation['seen']): number[] => [
    ...new Set(observations.filter((each) => each.seen === seen && from(each.state)).map(({ request }) => request)),
  ];
  await tx.query(
    `UPDATE ots_requests q SET answered_at = NULL, next_at = $2, attempts = 0,
       problem = calendar || ' names blocks of Bitcoin that do not have the merkle root it says'
     WHERE id = ANY ($1::bigint[]) AND answered_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM ots_attestations t WHERE t.request = q.id AND t.state <> 'contradicted')`,
    [changed((state) => state !== 'contradicted', 'other'), now],
  );
  await tx.query(
    `UPDATE ots_requests SET answered_at = $2, next_at = NULL, problem = NULL, attempts = 0
     WHERE id = ANY ($1::bigint[]) AND answered_at IS NULL`,
    [changed((state) => state === 'contradicted', 'there'), now],
  );
}
