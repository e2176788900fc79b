import { AntequemError } from '../core/errors.ts';
import { MAX_BATCH_ENTRIES } from '../core/limits.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import type { Database, Transaction } from '../store/database.ts';
import { packContents, unpackContents } from './block.ts';
import { commitmentOf, digestOf } from './blocks.ts';
import { forgetDigest } from './digest-index.ts';
import { forgetEvent } from './events.ts';
import type { Log } from './log.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction } from './system.ts';

/**
 * Erases payload, digest and nonce of an entry, its place in the digest index, the idempotency records that cover it and its
 * event id. The block is written anew without them and with the commitment, which was computed until now. Its place in the
 * tree stays. It becomes durable together with the entry of `_system` that records it; erasing again changes and records
 * nothing.
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
    // Appending to the log waits: it may put this block together with others.
    await tx.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log.id]);
    const block = await readForErasure(tx, log, index);
    if (block === null) {
      throw new AntequemError('entry-not-found', `the log ${log.name} has no entry ${index} yet`);
    }
    const position = index - block.first;
    const contents = unpackContents(block.content, block.count);
    const content = contents[position];
    if (content === undefined || content.kind === 'erased') return { result: false, acts: [] };
    const digest = digestOf(content);
    contents[position] = { kind: 'erased', commitment: commitmentOf(content, digest) };
    const size = content.kind === 'payload' ? content.payload.length : 0;
    await tx.query('UPDATE blocks SET content = $3, erased = $4, bytes = bytes - $5 WHERE log = $1 AND first = $2', [
      log.id,
      block.first,
      packContents(contents, content.nonce.length),
      [...block.erased, position].sort((a, b) => a - b),
      size,
    ]);
    if (digest !== null) await forgetDigest(tx, { log: log.id, index }, digest);
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

interface ErasureRow {
  first: number;
  count: number;
  erased: number[];
  content: Uint8Array;
}

async function readForErasure(tx: Transaction, log: Log, index: number): Promise<ErasureRow | null> {
  const { rows } = await tx.query<ErasureRow>(
    `SELECT first, count, erased, content FROM blocks
     WHERE log = $1 AND first <= $2 AND first + count > $2 ORDER BY first DESC LIMIT 1`,
    [log.id, index],
  );
  return rows[0] ?? null;
}
