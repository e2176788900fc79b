// Writes rounds to the public archive, and again as their anchors become final.

import { sha256 } from '#sha256';
import type { RoundTrees } from '../anchor/roundtrees.ts';
import { shownLeaves, shownRound } from '../anchor/shown.ts';
import { leavesPath, rootPath, roundPath } from '../audit/remote/layout.ts';
import { equalBytes, toHex, utf8 } from '../core/bytes.ts';
import type { Anchor } from '../core/receipt.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { Checkpoints } from '../log/publish.ts';
import type { Database } from '../store/database.ts';
import type { ObjectLock } from './bucket.ts';
import type { ObjectStore } from './object-stores.ts';
import { each } from './published-logs.ts';

/** Rounds that are written again in one pass because all of their anchors are final by now. */
const FINAL_AT_ONCE = 2_000;
/** Of the rounds whose anchors are not all final, as many of the newest and of the others are looked at in one pass. */
const OPEN_AT_ONCE = 50;

export interface RoundSources {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly trees: RoundTrees;
  readonly checkpoints: Pick<Checkpoints, 'at'>;
  readonly anchors: (round: number) => Promise<readonly Anchor[]>;
  /** Whether leaves are public. */
  readonly publishRounds: boolean;
  /** Of what is written now; null: none. */
  readonly lock: () => ObjectLock | null;
}

/** Writes rounds `first` to `last`. */
export async function publishRounds(sources: RoundSources, first: number, last: number): Promise<void> {
  const numbers = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  const open = await openRounds(sources.database, numbers);
  await each(numbers, (number) => writeRound(sources, number, { open: open.has(number), written: null }));
}

/**
 * Writes those again whose anchors have changed: those that are final by now, the newest of the others, and some of the
 * older ones, which come in turn. The newest come first, so that they do not wait for old ones that never become final.
 * @param behind where the last call ended
 * @returns where the next one begins
 */
export async function renewRounds(
  sources: RoundSources,
  behind: number,
  openAtOnce: number = OPEN_AT_ONCE,
): Promise<number> {
  const { rows } = await sources.database.query<{ number: number; hash: Uint8Array; turn: boolean }>(
    `WITH open AS (
       SELECT number, hash, EXISTS (SELECT FROM anchors WHERE round = o.number AND status <> 'finalized') AS pending
       FROM archive_open_rounds o),
     final AS (SELECT number, hash FROM open WHERE NOT pending ORDER BY number DESC LIMIT $1),
     newest AS (SELECT number, hash FROM open WHERE pending ORDER BY number DESC LIMIT $3)
     SELECT number, hash, false AS turn FROM final
     UNION ALL SELECT number, hash, false FROM newest
     UNION ALL (SELECT number, hash, true FROM open
                WHERE pending AND number > $2 AND number < (SELECT min(number) FROM newest) ORDER BY number LIMIT $3)`,
    [FINAL_AT_ONCE, behind, openAtOnce],
  );
  const open = await openRounds(
    sources.database,
    rows.map(({ number }) => number),
  );
  await each(rows, ({ number, hash }) => writeRound(sources, number, { open: open.has(number), written: hash }));
  return rows.findLast(({ turn }) => turn)?.number ?? 0;
}

/** Those of the rounds whose anchors are not all final. */
async function openRounds(database: Database, rounds: readonly number[]): Promise<ReadonlySet<number>> {
  const { rows } = await database.query<{ round: number }>(
    `SELECT DISTINCT round FROM anchors WHERE round = ANY ($1::bigint[]) AND status <> 'finalized'`,
    [rounds],
  );
  return new Set(rows.map(({ round }) => round));
}

/** @param how.written the hash of what was written before; null: nothing was */
async function writeRound(
  { database, store, trees, checkpoints, anchors, publishRounds, lock }: RoundSources,
  number: number,
  { open, written }: { readonly open: boolean; readonly written: Uint8Array | null },
): Promise<void> {
  const { round, tree } = await trees.read(number);
  const shown = shownRound(round, await anchors(number));
  const bytes = utf8(JSON.stringify({ format: 'antequem-round/v1', ...shown, link: tree.inclusionPath(0).map(toHex) }));
  const hash = sha256(bytes);
  if (open && written !== null && equalBytes(hash, written)) return;
  const lasting = open ? null : lock();
  await store.putCurrent(rootPath(number), bytes, lasting);
  if (publishRounds) {
    const leaves = await shownLeaves(database, checkpoints, round, 0);
    await store.putCurrent(roundPath(number), utf8(JSON.stringify({ ...shown, leaves })), lasting);
    for (let bundle = 1; bundle * TILE_WIDTH < round.size; bundle++) {
      const more = { leaves: await shownLeaves(database, checkpoints, round, bundle) };
      await store.putCurrent(leavesPath(number, bundle), utf8(JSON.stringify(more)), lasting);
    }
  }
  await database.query(
    open
      ? `INSERT INTO archive_open_rounds (number, hash) VALUES ($1, $2)
         ON CONFLICT (number) DO UPDATE SET hash = excluded.hash`
      : 'DELETE FROM archive_open_rounds WHERE number = $1 AND $2::bytea IS NOT NULL',
    [number, Buffer.from(hash)],
  );
}
