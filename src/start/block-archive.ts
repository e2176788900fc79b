import { ArchivedBlocks } from '../archive/archived-blocks.ts';
import { Bucket } from '../archive/bucket.ts';
import type { ArchiveConfig } from '../config/archive.ts';
import type { BlockArchive } from '../log/blocks/archived-block.ts';

/** Where old contents are read from; null: nowhere. */
export function openBlockArchive(config: ArchiveConfig | null): BlockArchive | null {
  const addresses = config?.privateBuckets ?? [];
  return addresses.length === 0 ? null : new ArchivedBlocks(addresses.map((address) => new Bucket(address)));
}
