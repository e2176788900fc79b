import type { Log } from '../../log/log.ts';
import { LOG_COLUMNS, type LogRow, logOf } from '../../log/registry.ts';
import type { Queryable } from '../../store/database.ts';

/** A log with the head that its row claims. */
export interface AuditedLog extends Log {
  readonly size: number;
  readonly root: Uint8Array;
  readonly lastLeaf: Uint8Array;
  readonly lastReceivedAt: number;
}

interface Row extends LogRow {
  size: number;
  root: Uint8Array;
  last_leaf: Uint8Array;
  last_received_at: number;
}

/** Logs by id after `after`, at most `limit`. */
export async function readLogs(db: Queryable, after: number, limit: number): Promise<AuditedLog[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${LOG_COLUMNS}, size, root, last_leaf, last_received_at FROM logs WHERE id > $1 ORDER BY id LIMIT $2`,
    [after, limit],
  );
  return rows.map(auditedLog);
}

/** A log by its name, null where there is none. */
export async function readLog(db: Queryable, name: string): Promise<AuditedLog | null> {
  const { rows } = await db.query<Row>(
    `SELECT ${LOG_COLUMNS}, size, root, last_leaf, last_received_at FROM logs WHERE name = $1`,
    [name],
  );
  return rows[0] === undefined ? null : auditedLog(rows[0]);
}

function auditedLog(row: Row): AuditedLog {
  return {
    ...logOf(row),
    size: row.size,
    root: row.root,
    lastLeaf: row.last_leaf,
    lastReceivedAt: row.last_received_at,
  };
}
