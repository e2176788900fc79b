// Erases archived blocks as a whole. Nothing is fetched: the keys of their contents are destroyed, and the commitments, which
// were archived beside them, take their place.

import type { Queryable, Transaction } from '../store/database.ts';
import type { ErasedEntry } from './block-erasure.ts';
import { PREFIX_BYTES } from './blocks/digest-record.ts';
import type { Log } from './log.ts';
import { destroyKeys } from './recall.ts';

/** Blocks that are erased in one transaction. */
export const WHOLE_BLOCKS_AT_ONCE = 256;

/** An archived block with its commitments beside it. */
export interface WholeBlock {
  readonly first: number;
  readonly count: number;
  readonly erased: readonly number[];
  /** Names the object with the content. */
  readonly object: Uint8Array;
  /** Of the first and the last entry that is not erased, as the index of digests has them. */
  readonly digest_ends: Uint8Array;
}

/** The first of these blocks that lie wholly among entries [begin, end), up to a gap between two of them. */
export async function wholeBlocks(
  db: Queryable,
  log: Pick<Log, 'id'>,
  [begin, end]: readonly [number, number],
): Promise<WholeBlock[]> {
  const { rows } = await db.query<WholeBlock>({
    name: 'whole-archived-blocks',
    text: `SELECT b.first, b.count, b.erased, a.object, a.digest_ends
           FROM archived_blocks a JOIN archived_commitments c ON c.log = a.log AND c.first = a.first
           JOIN blocks b ON b.log = a.log AND b.first = a.first
           WHERE a.log = $1 AND a.first >= $2 AND a.first < $3 AND b.first + b.count <= $3
             AND b.content IS NULL AND a.digest_ends IS NOT NULL
           ORDER BY a.first LIMIT ${WHOLE_BLOCKS_AT_ONCE}`,
    values: [log.id, begin, end],
  });
  const gap = rows.findIndex(({ first }, i) => {
    const before = rows[i - 1];
    return before !== undefined && before.first + before.count !== first;
  });
  return gap === -1 ? rows : rows.slice(0, gap);
}

/** The entries of blocks that are not erased yet; only the first and the last of each block with a digest. */
export function entriesOf(blocks: readonly WholeBlock[]): ErasedEntry[] {
  return blocks.flatMap(({ first, count, erased, digest_ends }): ErasedEntry[] => {
    const gone = new Set(erased);
    const left = Array.from({ length: count }, (_, at) => at).filter((at) => !gone.has(at));
    const ends = new Map([
      [left.at(-1), digest_ends.subarray(PREFIX_BYTES)],
      [left[0], digest_ends.subarray(0, PREFIX_BYTES)],
    ]);
    return left.map((at) => ({ index: first + at, digest: ends.get(at) ?? null }));
  });
}

/**
 * Erases the blocks. The caller holds the lock of the log's row.
 * @returns whether all were erased; false: one was changed since it was read
 */
export async function eraseWhole(tx: Transaction, log: Log, blocks: readonly WholeBlock[]): Promise<boolean> {
  const { rowCount } = await tx.query({
    name: 'erase-whole-blocks',
    text: `UPDATE blocks
           SET erased = ARRAY(SELECT g::smallint FROM generate_series(0, count - 1) AS g ORDER BY g), bytes = 0
           WHERE log = $1 AND first = ANY ($2::bigint[]) AND content IS NULL`,
    values: [log.id, blocks.map(({ first }) => first)],
  });
  const destroyed = await destroyKeys(
    tx,
    blocks.map(({ object }) => object),
  );
  return destroyed === blocks.length && rowCount === blocks.length;
}
