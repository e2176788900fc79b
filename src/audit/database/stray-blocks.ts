// Blocks that lie where no entry of a log can be.

import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';

/** Looks for entries that were put in beyond the head of a log, or of a log that is gone. */
export async function checkStrayBlocks(db: Queryable, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ log: number; name: string | null; size: number | null; first: number }>(
    `SELECT b.log, l.name, l.size, min(greatest(b.first, coalesce(l.size, b.first))) AS first
     FROM blocks b LEFT JOIN log_states l ON l.id = b.log
     WHERE l.id IS NULL OR b.first + b.count > l.size GROUP BY b.log, l.name, l.size ORDER BY b.log LIMIT 100`,
  );
  for (const { log, name, size, first } of rows) {
    if (name === null) findings.add('log-gone', {}, `there are entries of a log ${log} that is not there`);
    else {
      const says = `${name} has an entry ${first} beyond its ${size} entries`;
      findings.add('entry-stray', { log: name, index: first }, says);
    }
  }
}
