import type { Queryable } from '../store/database.ts';
import type { GrownLog, GrownLogs } from './event.ts';

/** Logs that a message names; more of them would make it larger than many receivers accept. */
const MOST_LOGS = 500;

/** The logs that a round took in, in the order of its leaves, with the sizes that they had in their rounds before. */
export async function grownLogs(db: Queryable, round: number): Promise<GrownLogs> {
  const { rows } = await db.query<GrownLog>(
    `SELECT l.name AS log, leaf.size, coalesce(
       (SELECT max(before.size) FROM round_logs before WHERE before.log = leaf.log AND before.size < leaf.size), 0) AS "from"
     FROM round_leaves leaf JOIN logs l ON l.id = leaf.log WHERE leaf.round = $1 ORDER BY leaf.index LIMIT $2`,
    [round, MOST_LOGS + 1],
  );
  const logs = rows.slice(0, MOST_LOGS).map(({ log, from, size }) => ({ log, from, size }));
  return { logs, moreLogs: rows.length > MOST_LOGS };
}
