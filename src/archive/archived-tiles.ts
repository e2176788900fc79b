// Reads tiles from the public archive. The store of tiles remembers them (log/tilestore.ts).

import { MAX_TILE, tileOfLog } from '../audit/remote/layout.ts';
import { equalBytes } from '../core/bytes.ts';
import { perfectRoot } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { ArchivedTile, TileArchive } from '../log/archived-tile.ts';
import type { Bucket } from './bucket.ts';
import { BucketReader, damagedObject } from './bucket-reader.ts';

export class ArchivedTiles implements TileArchive {
  readonly #reader: BucketReader;

  /** @param buckets which hold the same, the one to be asked first in front */
  constructor(buckets: readonly Bucket[]) {
    this.#reader = new BucketReader(buckets);
  }

  leaves(tile: ArchivedTile): Promise<Uint8Array> {
    const name = tileOfLog(tile.log, { level: 0, index: tile.index, width: TILE_WIDTH });
    return this.#reader.read(async (bucket) => {
      const hashes = await bucket.get(name, MAX_TILE);
      if (hashes === null) throw damagedObject(bucket, name, 'is gone');
      if (!isTile(hashes, tile.root)) throw damagedObject(bucket, name, 'is not what was written there');
      return hashes;
    });
  }
}

/** Whether these are the 256 hashes under a root. */
export function isTile(hashes: Uint8Array, root: Uint8Array): boolean {
  return hashes.length === MAX_TILE && equalBytes(perfectRoot(hashes), root);
}
