// Leaves of rounds that an older release stored, a row each: they are packed before anything else is done.

import { type Database, type Queryable, transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';

/** Leaves that are packed in one transaction, and those of one round more. */
const PAGE_LEAVES = 20_000;
/** Rounds, likewise. */
const PAGE_ROUNDS = 1_000;
/** Milliseconds between two looks whether another process is done. */
const PAUSE_MS = 500;
const LOCK = 'pack leaves';

/** How far it is, in rounds. */
export interface PackingProgress {
  readonly packed: number;
  readonly total: number;
}

/** Whether a database has leaves that are not packed yet. */
export async function hasUnpacked(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>(
    `SELECT to_regclass(quote_ident(current_schema()) || '.unpacked_leaves') IS NOT NULL AS there`,
  );
  return rows[0]?.there === true;
}

/**
 * Packs the leaves of all rounds, some thousand in a transaction; killed at any time, it goes on where it was. Processes
 * that start together take turns, and all wait until it is done.
 * @param pageRounds rounds that are packed in one transaction at most
 */
export async function packLeaves(
  database: Database,
  onProgress: (progress: PackingProgress) => void,
  pageRounds: number = PAGE_ROUNDS,
): Promise<void> {
  if (!(await hasUnpacked(database))) return;
  const { rows } = await database.query<{ total: number }>('SELECT count(*) AS total FROM rounds');
  const total = rows[0]?.total ?? 0;
  let packed = 0;
  for (let more = true; more; ) {
    const page = await packInTurn(database, pageRounds);
    if (page === null) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    more = page === null ? await hasUnpacked(database) : page > 0;
    packed += page ?? 0;
    onProgress({ packed: Math.min(packed, total), total });
  }
}

/** @returns rounds that were packed; 0: all are, and the old table is gone; null: it is another process's turn */
async function packInTurn(database: Database, pageRounds: number): Promise<number | null> {
  return transaction(database, async (tx) => {
    if (!(await tryLock(tx, LOCK))) return null;
    // Another process may have packed some, or all, since.
    if (!(await hasUnpacked(tx))) return 0;
    const { rows } = await tx.query<{ round: number }>(
      `SELECT number AS round
       FROM (SELECT number, sum(size) OVER (ORDER BY number) - size AS before
             FROM (SELECT number, size FROM rounds
                   WHERE number > (SELECT coalesce(max(round), 0) FROM packed_leaves)
                   ORDER BY number LIMIT ${pageRounds}) AS next) AS page
       WHERE before < ${PAGE_LEAVES} ORDER BY number`,
    );
    const rounds = rows.map(({ round }) => round);
    if (rounds.length === 0) {
      await tx.query('DROP TABLE unpacked_leaves');
      return 0;
    }
    // Of a damaged round what is there is packed; an audit finds it as before.
    await tx.query(
      `INSERT INTO packed_leaves (round, link, checkpoints, digests)
       SELECT r.round, coalesce(string_agg(leaf, '' ORDER BY index) FILTER (WHERE index = 0), ''),
              coalesce(string_agg(leaf, '' ORDER BY index) FILTER (WHERE index > 0 AND log IS NOT NULL), ''),
              coalesce(string_agg(leaf, '' ORDER BY index) FILTER (WHERE index > 0 AND log IS NULL), '')
       FROM unnest($1::bigint[]) AS r (round) LEFT JOIN unpacked_leaves u ON u.round = r.round GROUP BY r.round`,
      [rounds],
    );
    await tx.query(
      `INSERT INTO round_logs (size, round, log, index)
       SELECT size, round, log, index FROM unpacked_leaves WHERE round = ANY ($1) AND log IS NOT NULL
       ORDER BY round, index`,
      [rounds],
    );
    // Of every leaf: clients may hold the leaf hash of any of them.
    await tx.query(
      `INSERT INTO leaf_marks (mark, round)
       SELECT DISTINCT leaf_mark(leaf), round FROM unpacked_leaves WHERE round = ANY ($1) AND index > 0`,
      [rounds],
    );
    return rounds.length;
  });
}
