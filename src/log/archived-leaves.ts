// The leaf hashes of a tile that left the database. They are made of its entries where these are at hand, and fetched
// otherwise; in either case they have the root that the database keeps.

import { equalBytes } from '../core/bytes.ts';
import { entryLeafHash } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { HASH_SIZE, perfectRoot } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { Queryable } from '../store/database.ts';
import type { ArchivedTile, Archives } from './archived-tile.ts';
import type { BlockArchive } from './blocks/archived-block.ts';
import { blocksBetween } from './blocks/blocks.ts';
import { leafBefore } from './blocks/head.ts';
import { damaged } from './blocks/open-block.ts';

interface StoredTile extends ArchivedTile {
  /** Number of the log in this database. */
  readonly id: number;
}

/**
 * The leaf hashes of a complete tile that the database has only the root of.
 * @throws AntequemError `archive-unavailable`, `archive-damaged`, `archive-missing`, `log-damaged`
 */
export async function archivedLeaves(db: Queryable, archives: Archives, tile: StoredTile): Promise<Uint8Array> {
  const { blocks, tiles } = archives;
  const ways = [
    () => makeLeaves(db, tile, null),
    ...(tiles === null ? [] : [() => tiles.leaves(tile)]),
    ...(blocks === null ? [] : [() => makeLeaves(db, tile, blocks)]),
  ];
  const failures: AntequemError[] = [];
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      if (!(error instanceof AntequemError) || !/^(archive|log)-/.test(error.code)) throw error;
      failures.push(error);
    }
  }
  throw failures.find(({ code }) => code === 'archive-unavailable') ?? failures.at(-1);
}

/** Makes them of the entries. @param archive where contents of entries are fetched; null: nowhere */
async function makeLeaves(db: Queryable, tile: StoredTile, archive: BlockArchive | null): Promise<Uint8Array> {
  const begin = tile.index * TILE_WIDTH;
  const end = begin + TILE_WIDTH;
  const log = { id: tile.id, name: tile.log };
  const leaves = new Uint8Array(TILE_WIDTH * HASH_SIZE);
  let previous = await leafBefore(db, tile.id, begin);
  for await (const block of blocksBetween(db, log, begin, end, { archive, tiles: false })) {
    for (let index = Math.max(begin, block.first); index < Math.min(end, block.end); index++) {
      previous = entryLeafHash({ receivedAt: block.receivedAt(index), previous, commitment: block.commitment(index) });
      leaves.set(previous, HASH_SIZE * (index - begin));
    }
  }
  if (!equalBytes(perfectRoot(leaves), tile.root)) throw damaged(tile.log, `the entries of tile 0/${tile.index}`);
  return leaves;
}
