// Erasing in one block. Erasure of single entries and retention both come here.

import { AntequemError } from '../core/errors.ts';
import type { Transaction } from '../store/database.ts';
import { packContents, unpackContents } from './blocks/block.ts';
import { commitmentOf, digestOf } from './blocks/open-block.ts';
import type { Log } from './log.ts';

/** A block as it is read before something in it is erased. */
export interface ErasableBlock {
  readonly first: number;
  readonly count: number;
  readonly erased: readonly number[];
  readonly content: Uint8Array;
}

/** An entry that was erased just now. */
export interface ErasedEntry {
  readonly index: number;
  /** What it was found by, the first 6 bytes at least; null: that is not known. */
  readonly digest: Uint8Array | null;
}

/**
 * Reads the blocks with entries [begin, end), in order, at most `most` of them and about `bytes` of payloads. What is
 * archived was recalled before ({@link recallBlocks}), or ends the page.
 * @throws AntequemError `archive-unavailable` where it was archived again since
 */
export async function readErasable(
  tx: Transaction,
  log: Log,
  [begin, end]: readonly [number, number],
  { most, bytes }: { readonly most: number; readonly bytes: number },
): Promise<ErasableBlock[]> {
  const { rows } = await tx.query<Omit<ErasableBlock, 'content'> & { readonly content: Uint8Array | null }>({
    name: 'erasable-blocks',
    text: `WITH page AS MATERIALIZED (
             SELECT first FROM (
               SELECT first, row_number() OVER w AS n, sum(bytes) OVER w AS total
               FROM (SELECT first, bytes FROM blocks WHERE log = $1 AND first > $2::bigint - 256 AND first + count > $2
                       AND first < $3 ORDER BY first LIMIT $4) AS next
               WINDOW w AS (ORDER BY first)) AS sums
             WHERE n = 1 OR total <= $5)
           SELECT b.first, b.count, b.erased, b.content FROM page p JOIN blocks b ON b.log = $1 AND b.first = p.first
           ORDER BY b.first`,
    values: [log.id, begin, end, most, bytes],
  });
  const blocks: ErasableBlock[] = [];
  for (const { content, ...block } of rows) {
    // Of what is erased as a whole nothing is read.
    if (content !== null || isErased(block)) blocks.push({ ...block, content: content ?? new Uint8Array(0) });
    else if (blocks.length > 0) break;
    // It was archived since it was recalled.
    else
      throw new AntequemError(
        'archive-unavailable',
        `entry ${block.first} of ${log.name} is being archived: try again`,
      );
  }
  return blocks;
}

function isErased({ count, erased }: Pick<ErasableBlock, 'count' | 'erased'>): boolean {
  return erased.length === count;
}

/** A block without some of its entries, as it is to be stored. */
export interface BlockErasure {
  readonly block: ErasableBlock;
  readonly content: Buffer;
  /** Of the payloads that go. */
  readonly bytes: number;
  readonly gone: readonly ErasedEntry[];
}

/**
 * A block without its entries [begin, end): their commitments, which were computed until now, take the place of payload,
 * digest and nonce. Of a block that lies wholly between them only commitments are left.
 * @returns null where none of them is there
 */
export function withoutEntries(block: ErasableBlock, [begin, end]: readonly [number, number]): BlockErasure | null {
  if (isErased(block)) return null;
  const contents = unpackContents(block.content, block.count);
  const gone: ErasedEntry[] = [];
  let bytes = 0;
  let nonceSize = 0;
  for (const [position, content] of contents.entries()) {
    const index = block.first + position;
    if (content.kind === 'erased') continue;
    nonceSize = content.nonce.length;
    if (index < begin || index >= end) continue;
    const digest = digestOf(content);
    if (digest === null) continue;
    contents[position] = { kind: 'erased', commitment: commitmentOf(content, digest) };
    gone.push({ index, digest: new Uint8Array(digest) });
    if (content.kind === 'payload') bytes += content.payload.length;
  }
  return gone.length === 0 ? null : { block, content: packContents(contents, nonceSize), bytes, gone };
}

/**
 * Stores blocks without what was erased. The caller holds the lock of the log's row.
 * @returns whether all were stored; false: one was put together with others since it was read
 */
export async function storeErasures(tx: Transaction, log: Log, erasures: readonly BlockErasure[]): Promise<boolean> {
  const stored = await Promise.all(
    erasures.map(({ block, content, bytes, gone }) =>
      tx.query({
        name: 'store-erasure',
        text: `UPDATE blocks SET content = $3, erased = $4, bytes = bytes - $5
               WHERE log = $1 AND first = $2 AND count = $6 AND erased = $7::smallint[]`,
        values: [
          log.id,
          block.first,
          content,
          [...block.erased, ...gone.map(({ index }) => index - block.first)].sort((a, b) => a - b),
          bytes,
          block.count,
          block.erased,
        ],
      }),
    ),
  );
  return stored.every(({ rowCount }) => rowCount === 1);
}
