// What the database has that vouches for a log: its checkpoints, and its leaves in rounds.

import type { Log } from '../../log/log.ts';
import type { Queryable } from '../../store/database.ts';
import type { Floor } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import type { RoundAt } from '../checks/rounds.ts';
import { floorOf, type RoundLeaf, type StoredCheckpoint, type Vouchers } from '../checks/vouchers.ts';

interface LeafRow {
  size: number;
  round: number;
  leaf: Uint8Array;
  closed_at: number | null;
  /** Of the round before. */
  closed_before: number | null;
}

interface LeafAfter extends RoundLeaf {
  /** When the round before closed, milliseconds; null where there is none. */
  readonly closedBefore: number | null;
}

/** What vouches for a log at the sizes of a page. */
export interface PageVouchers extends Vouchers {
  readonly leaves: readonly LeafAfter[];
  /** The first leaf behind the page. */
  readonly next: LeafAfter | null;
}

/** As many as there are: each size has one of each kind, unless somebody took the indexes away too. */
const MOST = 20_000;
/** A larger index is of no leaf: somebody wrote it, and where its bytes were is more than an integer holds. */
const PLACE = 'size, round, greatest(0, least(index, 10000000)) AS index';

/** Those above `begin` (at 0: with it) up to `end`, in the order of their sizes. */
export async function readVouchers(db: Queryable, log: number, begin: number, end: number): Promise<PageVouchers> {
  const range = [log, begin === 0 ? -1 : begin, end];
  const [checkpoints, leaves] = await Promise.all([
    db.query<StoredCheckpoint>(
      `SELECT size, root, note FROM checkpoints WHERE log = $1 AND size > $2 AND size <= $3 ORDER BY size LIMIT ${MOST}`,
      range,
    ),
    db.query<LeafRow>(
      `SELECT l.size, l.round, l.leaf, r.closed_at, b.closed_at AS closed_before
       FROM (SELECT o.size, o.round, coalesce(
                      '\\x81'::bytea || g.log_id || substr(w.heads, 44 * o.index - 39, 40), substr(p.checkpoints, 73 * o.index - 72, 73), '') AS leaf
             FROM ((SELECT ${PLACE} FROM round_logs WHERE log = $1 AND size > $2 AND size <= $3 ORDER BY size, round LIMIT ${MOST})
                   UNION ALL (SELECT ${PLACE} FROM round_logs WHERE log = $1 AND size > $3 ORDER BY size LIMIT 1)) o
             LEFT JOIN rounds w ON w.number = o.round LEFT JOIN logs g ON g.id = log_of_head(w.heads, o.index)
             LEFT JOIN packed_leaves p ON p.round = o.round AND w.heads IS NULL) l
       LEFT JOIN rounds r ON r.number = l.round LEFT JOIN rounds b ON b.number = l.round - 1 ORDER BY l.size, l.round`,
      range,
    ),
  ]);
  const read = leaves.rows.map(({ size, round, leaf, closed_at, closed_before }) => ({
    size,
    round,
    leaf,
    closedAt: closed_at,
    closedBefore: closed_before,
  }));
  const within = read.filter(({ size }) => size <= end);
  return { checkpoints: checkpoints.rows, leaves: within, next: read[within.length] ?? null };
}

/** Finds the entries that rounds closed without, as the pages of a log come. */
export class FloorFinder {
  #covered: number;
  readonly #newest: RoundAt | null;

  /**
   * @param covered entries of the log that are in the rounds of the pages before
   * @param newest null: there is no round
   */
  constructor(covered: number, newest: RoundAt | null) {
    this.#covered = covered;
    this.#newest = newest;
  }

  /** Those of the next page, ascending, and one beyond it perhaps. */
  of({ leaves, next }: PageVouchers): Floor[] {
    const floors: Floor[] = [];
    for (const leaf of leaves) {
      if (leaf.size <= this.#covered) continue;
      floors.push(...this.#before(leaf));
      this.#covered = leaf.size;
    }
    return [...floors, ...(next === null ? floorOf(this.#covered, this.#newest) : this.#before(next))];
  }

  #before({ round, closedBefore }: LeafAfter): Floor[] {
    return floorOf(this.#covered, closedBefore === null ? null : { number: round - 1, closedAt: closedBefore });
  }
}

/** How many of the first `size` entries of a log are in rounds that have no more of it. */
export async function coveredSize(db: Queryable, log: number, size: number): Promise<number> {
  const { rows } = await db.query<{ covered: number | null }>(
    'SELECT max(size) AS covered FROM round_logs WHERE log = $1 AND size <= $2',
    [log, size],
  );
  return rows[0]?.covered ?? 0;
}

/** Looks for what vouches for more entries than the log has. */
export async function checkNothingBeyond(db: Queryable, log: Log, size: number, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ checkpoint: number | null; leaf: number | null; round: number | null }>(
    `SELECT (SELECT max(size) FROM checkpoints WHERE log = $1 AND size > $2) AS checkpoint, l.size AS leaf, l.round
     FROM (SELECT) AS one LEFT JOIN LATERAL
       (SELECT size, round FROM round_logs WHERE log = $1 AND size > $2 ORDER BY size LIMIT 1) AS l ON true`,
    [log.id, size],
  );
  const [beyond] = rows;
  const place = { log: log.name, index: size };
  if (beyond?.checkpoint != null) {
    const says = `${log.name} signed a checkpoint of ${beyond.checkpoint} entries, and has ${size}`;
    findings.add('log-cut-off', place, says);
  }
  if (beyond?.leaf != null) {
    const says = `round ${beyond.round} took in ${beyond.leaf} entries of ${log.name}, which has ${size}`;
    findings.add('log-cut-off', { ...place, round: beyond.round }, says);
  }
}
