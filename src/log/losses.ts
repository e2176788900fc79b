// What was published or answered and the database does not hold.

import { equalBytes } from '../core/bytes.ts';
import type { Queryable } from '../store/database.ts';
import { type Archives, NO_ARCHIVES } from './archived-tile.ts';
import type { Log } from './log.ts';
import { type Mark, sameMark } from './outside/published.ts';
import { TileStore } from './tilestore.ts';

/** A log and how far it was published. */
export interface MarkedLog {
  readonly log: Pick<Log, 'id' | 'name' | 'origin'>;
  readonly mark: Mark;
  readonly was: Loss['was'];
}

/** Something published or answered that the database lacks. */
export interface Loss {
  /** Origin of a log, or the subject of the rounds. */
  readonly subject: string;
  readonly published: Mark;
  readonly was: 'published' | 'answered';
  /** What the database has instead; null: nothing at all. */
  readonly now: Mark | null;
}

/** The marks that the database does not hold with this root at this size. */
export async function missingMarks(
  db: Queryable,
  claims: readonly MarkedLog[],
  archives: Archives = NO_ARCHIVES,
): Promise<Loss[]> {
  if (claims.length === 0) return [];
  const tiles = new TileStore(db, archives);
  const { rows } = await db.query<{ n: number; size: number; root: Uint8Array; signed: Uint8Array | null }>(
    `SELECT s.n::int, l.size, l.root, c.root AS signed
     FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS s (log, size, n) JOIN log_states l ON l.id = s.log
     LEFT JOIN checkpoints c ON c.log = s.log AND c.size = s.size`,
    [claims.map(({ log }) => log.id), claims.map(({ mark }) => mark.size)],
  );
  const found = new Map(rows.map((row) => [row.n, row]));
  const losses: Loss[] = [];
  for (const [i, { log, mark, was }] of claims.entries()) {
    const row = found.get(i + 1);
    const now = row === undefined ? null : { size: row.size, root: new Uint8Array(row.root) };
    let root: Uint8Array | null = null;
    if (now !== null && now.size === mark.size) root = now.root;
    if (now !== null && now.size > mark.size) root = row?.signed ?? (await rootAt(tiles, log, mark.size));
    if (root === null || !equalBytes(root, mark.root)) losses.push({ subject: log.origin, published: mark, was, now });
  }
  return losses;
}

/** One for each subject: the one with the larger mark. */
export function largestLosses(losses: readonly Loss[]): Loss[] {
  const largest = new Map<string, Loss>();
  for (const loss of losses) {
    const known = largest.get(loss.subject);
    if (known === undefined || known.published.size < loss.published.size) largest.set(loss.subject, loss);
  }
  return [...largest.values()];
}

/** The root at a size that was marked but not signed, because its transaction was rolled back. */
async function rootAt(tiles: TileStore, log: MarkedLog['log'], size: number): Promise<Uint8Array | null> {
  const [root] = await tiles.ranges(log, [{ begin: 0, end: size }], size);
  return root ?? null;
}

/** Number and root of the round closed last. */
export async function newestRound(db: Queryable): Promise<Mark | null> {
  const { rows } = await db.query<{ number: number; root: Uint8Array }>(
    'SELECT number, root FROM rounds ORDER BY number DESC LIMIT 1',
  );
  const [row] = rows;
  return row === undefined ? null : { size: row.number, root: new Uint8Array(row.root) };
}

/** The published round, if the database does not hold it. @param subject of the rounds */
export async function missingRound(
  db: Queryable,
  subject: string,
  mark: Mark | null,
  newest: Mark | null,
): Promise<Loss[]> {
  if (mark === null || mark.size === 0 || sameMark(mark, newest)) return [];
  const { rows } = await db.query<{ root: Uint8Array }>('SELECT root FROM rounds WHERE number = $1', [mark.size]);
  const held = rows[0] !== undefined && equalBytes(new Uint8Array(rows[0].root), mark.root);
  return held ? [] : [{ subject, published: mark, was: 'published', now: newest }];
}
