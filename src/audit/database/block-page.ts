// Reads blocks of entries in bulk, with bounded memory.

import { readU64 } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { ARCHIVED_COLUMN, archivedBlock, type BlockArchive, contentOf } from '../../log/blocks/archived-block.ts';
import { MAX_CONTENT_BYTES } from '../../log/blocks/block.ts';
import type { Queryable } from '../../store/database.ts';

export const PAGE_ENTRIES = 4_096;
/** Contents that come with their page; those behind are fetched one by one. */
const PAGE_BYTES = 8 << 20;

/** A block as an audit reads it: what it says of itself may be wrong. */
export interface PageBlock {
  readonly first: number;
  readonly count: number;
  /** Of the first entry, milliseconds. */
  readonly received_at: number;
  /** 8 bytes for each entry; null: all were received with the first. */
  readonly times: Uint8Array | null;
  /** 32 bytes for each entry; null where the tile has the leaf hashes. */
  readonly leaves: Uint8Array | null;
  /** Positions in the block. */
  readonly erased: readonly (number | null)[];
  /** Of the content. */
  readonly length: number;
  /** What finds the content in the archive; null where it is in the database. */
  readonly archived: Uint8Array | null;
  /** Null where it is not carried. */
  readonly content: Uint8Array | null;
}

/** Where a page that begins at an entry ends. */
export function pageEnd(begin: number, size: number): number {
  return Math.min(size, (Math.floor(begin / PAGE_ENTRIES) + 1) * PAGE_ENTRIES);
}

/** The blocks of a log that hold entries [begin, end), in order. */
export async function readPage(db: Queryable, log: number, begin: number, end: number): Promise<PageBlock[]> {
  const { rows } = await db.query<PageBlock>({
    name: 'audit-blocks',
    text: `SELECT first, count, received_at, times, leaves, erased[1:257] AS erased, coalesce(length(content), 0) AS length,
                  ${ARCHIVED_COLUMN},
                  CASE WHEN sum(length(content)) OVER (ORDER BY first) <= ${PAGE_BYTES} THEN content END AS content
           FROM blocks b WHERE log = $1 AND first > $2::bigint - 256 AND first + count > $2 AND first < $3 ORDER BY first`,
    values: [log, begin, end],
  });
  return rows;
}

/**
 * The content of a block of a page; null where it is longer than any that the service writes, or where what lies in the
 * archive is not what was put there.
 * @throws AntequemError `archive-missing`, `archive-unavailable`
 */
export async function readBlockContent(
  db: Queryable,
  log: number,
  block: PageBlock,
  archive: BlockArchive | null,
): Promise<Uint8Array | null> {
  if (block.archived !== null) {
    try {
      return await contentOf(archive, archivedBlock({ log, first: block.first, count: block.count }, block.archived));
    } catch (error) {
      if (hasCode(error, 'archive-damaged')) return null;
      throw error;
    }
  }
  if (block.content !== null || block.length > MAX_CONTENT_BYTES) return block.content;
  const { rows } = await db.query<{ content: Uint8Array }>('SELECT content FROM blocks WHERE log = $1 AND first = $2', [
    log,
    block.first,
  ]);
  return rows[0]?.content ?? null;
}

/** When the entry at a position was received, as near as a double comes: what is not below 2^53 is wrong in any case. */
export function timeAt({ received_at, times }: PageBlock, position: number): number {
  if (times === null) return received_at;
  try {
    return readU64(times, 8 * position);
  } catch {
    return -1;
  }
}
