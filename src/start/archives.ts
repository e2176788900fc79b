import { ArchivedBlocks } from '../archive/archived-blocks.ts';
import { ArchivedTiles } from '../archive/archived-tiles.ts';
import { Bucket, type BucketAddress } from '../archive/bucket.ts';
import type { ArchiveConfig } from '../config/archive.ts';
import type { Archives } from '../log/archived-tile.ts';

/** Where what left the database is read from. */
export function openArchives(config: ArchiveConfig | null): Archives {
  const [open, closed] = [bucketsAt(config?.publicBuckets), bucketsAt(config?.privateBuckets)];
  return {
    tiles: open.length === 0 ? null : new ArchivedTiles(open),
    blocks: closed.length === 0 ? null : new ArchivedBlocks(closed),
  };
}

function bucketsAt(addresses: readonly BucketAddress[] = []): Bucket[] {
  return addresses.map((address) => new Bucket(address));
}
