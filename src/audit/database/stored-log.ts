import type { Log } from '../../log/log.ts';
import { LOG_COLUMNS, type LogRow, logOf } from '../../log/registry.ts';
import type { Queryable } from '../../store/database.ts';

/** A log with the head that its row claims. */
export interface StoredLog extends Log {
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

const COLUMNS = `${LOG_COLUMNS}, size, root, last_leaf, last_received_at`;

/** Logs with an id above `after`, at most `limit`, in the order of their ids. */
export async function readStoredLogs(db: Queryable, after: number, limit: number): Promise<StoredLog[]> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM log_states WHERE id > $1 ORDER BY id LIMIT $2`, [
    after,
    limit,
  ]);
  return rows.map(storedLog);
}

/** A log by its name, null where there is none. */
export async function readStoredLog(db: Queryable, name: string): Promise<StoredLog | null> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM log_states WHERE name = $1`, [name]);
  return rows[0] === undefined ? null : storedLog(rows[0]);
}

function storedLog(row: Row): StoredLog {
  return {
    ...logOf(row),
    size: row.size,
    root: row.root,
    lastLeaf: row.last_leaf,
    lastReceivedAt: row.last_received_at,
  };
}
