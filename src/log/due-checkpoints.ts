// Checkpoints of round leaves that nobody has asked for: they are signed when somebody does.

import { equalBytes } from '../core/bytes.ts';
import { consistencyRanges } from '../core/merkle.ts';
import { verifyConsistency } from '../core/proof.ts';
import { inOrder } from '../store/batch.ts';
import type { Queryable } from '../store/database.ts';
import { checkpointConflict } from './checkpoint-conflict.ts';
import type { Log, LogHead } from './log.ts';
import { LOG_COLUMNS, type LogRow, logOf, type Registry } from './registry.ts';
import type { TileStore } from './tilestore.ts';

export interface LogSize {
  readonly log: Log;
  readonly size: number;
}

/** The roots that rounds have of logs at these sizes; null: no round has the log at that size. */
export async function readLeafRoots(db: Queryable, asked: readonly LogSize[]): Promise<(Uint8Array | null)[]> {
  const { rows } = await db.query<{ n: number; root: Uint8Array }>({
    name: 'leaf-roots',
    text: `SELECT q.n::int, coalesce(substr(w.heads, 44 * least(r.index, w.size) - 31, 32),
                                     substr(p.checkpoints, 73 * least(r.index, w.size) - 31, 32)) AS root
           FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS q (log, size, n)
           JOIN round_logs r ON r.log = q.log AND r.size = q.size
           JOIN rounds w ON w.number = r.round LEFT JOIN packed_leaves p ON p.round = r.round
           WHERE num_nonnulls(w.heads, p.checkpoints) > 0`,
    values: [asked.map(({ log }) => log.id), asked.map(({ size }) => size)],
  });
  return inOrder(rows, asked.length, ({ root }) => new Uint8Array(root));
}

/**
 * Demands that the log as it is now begins with a tree that a round has: nobody gets a signature by writing into a leaf.
 * @throws AntequemError `checkpoint-conflict`, `log-damaged`
 */
export async function demandPart(registry: Registry, tiles: TileStore, log: Log, leaf: LogHead): Promise<void> {
  const head = await registry.head(log);
  if (leaf.size > head.size) throw checkpointConflict();
  if (leaf.size === head.size) {
    if (!equalBytes(leaf.root, head.root)) throw checkpointConflict();
    return;
  }
  const path = await tiles.ranges(log, consistencyRanges(leaf.size, head.size), head.size);
  if (!verifyConsistency(leaf.size, head.size, path, leaf.root, head.root)) throw checkpointConflict();
}

/** Sizes of a log in rounds, above `after`, that were not signed; ascending, at most `limit`. */
export async function dueSizes(db: Queryable, log: Log, after: number, limit: number): Promise<number[]> {
  const { rows } = await db.query<{ size: number }>(
    `SELECT size FROM round_logs r WHERE log = $1 AND size > $2
       AND NOT EXISTS (SELECT FROM checkpoints c WHERE c.log = r.log AND c.size = r.size)
     ORDER BY size LIMIT $3`,
    [log.id, after, limit],
  );
  return rows.map(({ size }) => size);
}

/** Logs behind `after`, in the order of their ids, whose newest leaf lies above their newest checkpoint. */
export async function dueLogs(db: Queryable, after: number, limit: number): Promise<LogSize[]> {
  const { rows } = await db.query<LogRow & { size: number }>(
    `SELECT ${LOG_COLUMNS}, h.size FROM logs l
     CROSS JOIN LATERAL (SELECT size FROM round_logs WHERE log = l.id ORDER BY size DESC LIMIT 1) AS h
     LEFT JOIN LATERAL (SELECT size FROM checkpoints WHERE log = l.id ORDER BY size DESC LIMIT 1) AS c ON true
     WHERE l.id > $1 AND h.size > coalesce(c.size, -1) ORDER BY l.id LIMIT $2`,
    [after, limit],
  );
  return rows.map((row) => ({ log: logOf(row), size: row.size }));
}
