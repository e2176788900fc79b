import { AntequemError } from '../core/errors.ts';
import { MAX_BATCH_ENTRIES } from '../core/limits.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import type { Database } from '../store/database.ts';
import { forgetEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction } from './system.ts';

/**
 * Erases payload, digest and nonce of an entry, its place in the digest index, the idempotency records that cover it and its
 * event id. Its commitment and its place in the tree stay. It becomes durable together with the entry of `_system` that
 * records it; erasing again changes and records nothing.
 * @returns whether anything was there to erase
 * @throws AntequemError `log-reserved` for `_system`, `entry-not-found`
 */
export async function eraseEntry(
  database: Database,
  system: Log,
  sequencing: Sequencing,
  log: Log,
  index: number,
): Promise<boolean> {
  if (log.name === SYSTEM_LOG) {
    throw new AntequemError('log-reserved', '_system is the log of the service itself: nothing in it is erased');
  }
  return recordedTransaction(database, system, sequencing, async (tx) => {
    const segment = await sequencing.partitions.find(tx, log.id, index);
    const { rows } = await tx.query<{ there: boolean }>(
      `SELECT (digest IS NOT NULL OR nonce IS NOT NULL OR payload IS NOT NULL) AS there
       FROM entries WHERE segment = $1 AND log = $2 AND index = $3 FOR UPDATE`,
      [segment ?? 0, log.id, index],
    );
    const entry = rows[0];
    if (entry === undefined) {
      throw new AntequemError('entry-not-found', `the log ${log.name} has no entry ${index} yet`);
    }
    if (!entry.there) return { result: false, acts: [] };
    await tx.query(
      `UPDATE entries SET payload = NULL, digest = NULL, nonce = NULL
       WHERE segment = $1 AND log = $2 AND index = $3`,
      [segment, log.id, index],
    );
    // Their hash covers the whole request: it would confirm a guess of its content.
    await tx.query(
      `DELETE FROM idempotency
       WHERE log = $1 AND first_index > $2::bigint - $3::bigint AND first_index <= $2 AND first_index + count > $2`,
      [log.id, index, MAX_BATCH_ENTRIES],
    );
    await forgetEvent(tx, log, index);
    return { result: true, acts: [{ act: 'entry-erased', log: log.origin, index }] };
  });
}
