// One size of a log has one root: what says that another one was signed.

import { AntequemError } from '../core/errors.ts';
import type { Queryable } from '../store/database.ts';
import type { Log, LogHead } from './log.ts';

/** @throws AntequemError `checkpoint-conflict` where one of these sizes was signed with another root */
export async function demandUnsigned(db: Queryable, heads: readonly { log: Log; head: LogHead }[]): Promise<void> {
  if (heads.length === 0) return;
  const { rows } = await db.query<{ log: number }>(
    `SELECT s.log FROM unnest($1::int[], $2::bigint[], $3::bytea[]) AS s (log, size, root)
     JOIN checkpoints c USING (log, size) WHERE c.root <> s.root LIMIT 1`,
    [
      heads.map(({ log }) => log.id),
      heads.map(({ head }) => head.size),
      heads.map(({ head }) => Buffer.from(head.root)),
    ],
  );
  if (rows.length > 0) throw checkpointConflict();
}

export function checkpointConflict(): AntequemError {
  return new AntequemError(
    'checkpoint-conflict',
    'a checkpoint with another root was signed at this size before: the database was altered or set back; run an audit',
  );
}
