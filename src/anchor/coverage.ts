import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';

/** How much of a log is anchored, and by what. */
export interface LogCoverage {
  /** Entries that the round covers. */
  readonly size: number;
  readonly round: number;
  /** Status of the round's best anchor. */
  readonly status: 'included' | 'finalized';
  /** Time of that anchor's block. */
  readonly time: string;
}

interface CoverageRow {
  log: number;
  size: number;
  round: number;
  status: 'included' | 'finalized';
  block_time: number;
}

/**
 * For each log, by its id, the newest round that is in a block of any chain; logs without such a round are left out. This
 * takes two look-ups in one index for each log, because all but the newest few rounds enter blocks in their order.
 */
export async function readCoverage(database: Queryable, logs: readonly number[]): Promise<Map<number, LogCoverage>> {
  const { rows } = await database.query<CoverageRow>(
    `WITH newest AS (SELECT max(m.round) AS round FROM targets t CROSS JOIN LATERAL
                       (SELECT max(round) AS round FROM anchors WHERE target = t.name AND block_number IS NOT NULL) m)
     SELECT l.log, c.size, c.round, c.status, c.block_time
     FROM unnest($1::int[]) AS l (log) CROSS JOIN newest n CROSS JOIN LATERAL
       (SELECT r.size, r.round, a.status, a.block_time FROM
          (SELECT size, round FROM round_logs WHERE log = l.log AND round <= n.round ORDER BY size DESC LIMIT 10) r
        JOIN anchors a ON a.round = r.round AND a.block_number IS NOT NULL
        ORDER BY r.size DESC, a.status = 'finalized' DESC, a.block_time LIMIT 1) c`,
    [logs],
  );
  return new Map(
    rows.map(({ log, size, round, status, block_time }) => [
      log,
      { size, round, status, time: formatTime(block_time) },
    ]),
  );
}
