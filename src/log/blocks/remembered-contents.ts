import { LruCache, type SharedLimit } from '../../core/lru.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { PackedContents } from './block.ts';
import { type BlockRow, OpenBlock } from './open-block.ts';

/** Of remembered contents, as stored and as unpacked. */
const CACHED_BYTES = 32 << 20;
/** Of one, what its arrays and objects take beside that. */
const BESIDE_BYTES = 6_000;

/** The contents of a block that has a whole tile. */
export interface KnownContents {
  readonly contents: PackedContents;
  /** How many of its entries were erased when it was read. */
  readonly erased: number;
}

/** A block as it is read by somebody who may know its contents. */
export interface KnownBlockRow extends BlockRow {
  /** How many of its entries are erased. */
  erased: number;
  /** Of all payloads together. */
  bytes: number;
}

/**
 * Contents of blocks that were read lately. Erasure alone changes the block of a whole tile, and then more of its entries
 * are erased. Each read tells how many are, so what is remembered is used only where the database still has the same.
 */
export class RememberedContents {
  readonly #tiles: LruCache<string, KnownContents>;

  /** @param bytes that may be remembered, alone or with others */
  constructor(bytes: number | SharedLimit = CACHED_BYTES) {
    this.#tiles = new LruCache(bytes);
  }

  /** What is known of the block with this entry. */
  of(log: number, index: number): KnownContents | undefined {
    return this.#tiles.get(tileKey(log, index));
  }

  /** @param known what the reader said to know; its content was not sent again if it is still the same */
  open(row: KnownBlockRow, known: KnownContents | undefined): OpenBlock {
    if (known?.erased === row.erased) return new OpenBlock(row, known.contents);
    if (row.content === null || row.count !== TILE_WIDTH) return new OpenBlock(row);
    // A row that was read is a view of what came with it, 64 kB.
    const content = new Uint8Array(row.content);
    const block = new OpenBlock({ ...row, content });
    const { contents } = block;
    if (contents !== null) {
      const bytes = content.length + row.bytes + BESIDE_BYTES;
      this.#tiles.set(tileKey(row.log, row.first), { contents, erased: row.erased }, bytes);
    }
    return block;
  }
}

/** Names the tile that an entry is in. */
export function tileKey(log: number, index: number): string {
  return `${log}/${Math.floor(index / TILE_WIDTH)}`;
}
