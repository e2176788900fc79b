import { AntequemError } from '../core/errors.ts';
import { MAX_BATCH_ENTRIES } from '../core/limits.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import { type Database, transaction } from '../store/database.ts';
import { readErasable, storeErasures, withoutEntries } from './block-erasure.ts';
import type { BlockArchive } from './blocks/archived-block.ts';
import { forgetDigests } from './digest-forgetting.ts';
import { forgetEvents } from './events.ts';
import type { Holds } from './holds.ts';
import type { Log } from './log.ts';
import { recallBlocks } from './recall.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction } from './system.ts';

/**
 * Erases payload, digest and nonce of an entry, its place in the digest index, the idempotency records that cover it and its
 * event id. The block is written anew without them and with the commitment, which was computed until now. Its place in the
 * tree stays. It becomes durable together with the entry of `_system` that records it; erasing again changes and records
 * nothing.
 * @returns whether anything was there to erase
 * @throws AntequemError `log-reserved` for `_system`, `entry-not-found`, `entry-held`, `holds-unconfirmed`,
 *   `guard-unavailable`; `archive-unavailable` where the block is archived and the archive does not answer
 */
export async function eraseEntry(
  database: Database,
  system: Log,
  sequencing: Sequencing,
  log: Log,
  index: number,
  holds: Holds,
  archive: BlockArchive | null = null,
): Promise<boolean> {
  if (log.name === SYSTEM_LOG) {
    throw new AntequemError('log-reserved', '_system is the log of the service itself: nothing in it is erased');
  }
  // What a hold keeps is not taken out of the archive.
  if (archive !== null) {
    await transaction(database, async (tx) => {
      await holds.demandConfirmed(tx);
      await holds.demandFree(tx, log, index);
    });
  }
  await recallBlocks(database, archive, log, [index, index + 1]);
  return recordedTransaction(database, system, sequencing, async (tx) => {
    await holds.demandConfirmed(tx);
    await holds.demandFree(tx, log, index);
    // Appending to the log waits: it may put this block together with others.
    await tx.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log.id]);
    const [block] = await readErasable(tx, log, [index, index + 1], { most: 1, bytes: 0 });
    if (block === undefined) {
      throw new AntequemError('entry-not-found', `the log ${log.name} has no entry ${index} yet`);
    }
    const erasure = withoutEntries(block, [index, index + 1]);
    if (erasure === null) return { result: false, acts: [] };
    if (!(await storeErasures(tx, log, [erasure]))) {
      throw new AntequemError('internal', `the block of entry ${index} of ${log.name} changed under its lock`);
    }
    await forgetDigests(tx, log, [index, index + 1], erasure.gone);
    // Their hash covers the whole request: it would confirm a guess of its content.
    await tx.query(
      `DELETE FROM idempotency
       WHERE log = $1 AND first_index > $2::bigint - $3::bigint AND first_index <= $2 AND first_index + count > $2`,
      [log.id, index, MAX_BATCH_ENTRIES],
    );
    await forgetEvents(tx, log, index, index + 1);
    return { result: true, acts: [{ act: 'entry-erased', log: log.origin, index }] };
  });
}
