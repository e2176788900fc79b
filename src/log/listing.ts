// Which logs are listed: shown with their keys to anybody.

import { AntequemError } from '../core/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';
import type { Log } from './log.ts';
import { LOG_COLUMNS, type LogRow, logOf } from './registry.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction } from './system.ts';

/** The most logs that are listed: lists of them are sent whole. */
export const MAX_LISTED_LOGS = 1_000;

/**
 * Lists a log or takes it off, and records that in `_system`; where nothing changes, nothing is recorded.
 * @returns whether it changed
 * @throws AntequemError `listed-full`
 */
export async function setListed(
  database: Database,
  system: Log,
  sequencing: Sequencing,
  log: Log,
  listed: boolean,
): Promise<boolean> {
  return recordedTransaction(database, system, sequencing, async (tx) => {
    await takeLock(tx, 'listed logs');
    const { rowCount } = await tx.query('UPDATE logs SET listed = $2 WHERE id = $1 AND listed <> $2', [log.id, listed]);
    if (rowCount === 0) return { result: false, acts: [] };
    if (listed && (await listedLogs(tx)).length > MAX_LISTED_LOGS) {
      throw new AntequemError('listed-full', `${MAX_LISTED_LOGS} logs are listed already: take one off first`);
    }
    return { result: true, acts: [{ act: 'log-listed', log: log.origin, listed }] };
  });
}

/** The listed logs in the bytewise order of their names. */
export async function listedLogs(db: Queryable): Promise<Log[]> {
  const { rows } = await db.query<LogRow>(
    `SELECT ${LOG_COLUMNS} FROM logs WHERE listed ORDER BY name COLLATE "C" LIMIT $1`,
    [MAX_LISTED_LOGS + 1],
  );
  return rows.map(logOf);
}

/** Those of these logs, by their ids, that are listed. */
export async function readListed(db: Queryable, logs: readonly number[]): Promise<ReadonlySet<number>> {
  const { rows } = await db.query<{ id: number }>('SELECT id FROM logs WHERE id = ANY ($1) AND listed', [logs]);
  return new Set(rows.map(({ id }) => id));
}
