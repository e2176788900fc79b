// A tile whose leaf hashes lie in the public archive: the database keeps its root, which what is read there has to have.

import type { BlockArchive } from './blocks/archived-block.ts';

/** A complete tile of leaf hashes. */
export interface ArchivedTile {
  /** Name of the log. */
  readonly log: string;
  readonly index: number;
  /** Over its 256 leaf hashes. */
  readonly root: Uint8Array;
}

/** Where archived tiles are read from. */
export interface TileArchive {
  /**
   * The leaf hashes of a tile, which have its root.
   * @throws AntequemError `archive-unavailable`, `archive-damaged`
   */
  leaves(tile: ArchivedTile): Promise<Uint8Array>;
}

/** Where what left the database is read from; null: nowhere. */
export interface Archives {
  readonly blocks: BlockArchive | null;
  readonly tiles: TileArchive | null;
}

export const NO_ARCHIVES: Archives = { blocks: null, tiles: null };
