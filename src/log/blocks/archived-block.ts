// A block whose content lies in an object store: what finds it there and opens it.

import { AntequemError } from '../../core/errors.ts';

/** The object with the content of a block. */
export interface ArchivedBlock {
  /** Number of the log in this database. */
  readonly log: number;
  /** Index of the first entry. */
  readonly first: number;
  readonly count: number;
  /** 16 bytes that name it. */
  readonly object: Uint8Array;
  /** Of AES-256. */
  readonly key: Uint8Array;
  /** SHA-256 of the object. */
  readonly hash: Uint8Array;
}

/** Where the contents of archived blocks are read from. */
export interface BlockArchive {
  /**
   * The content of a block, as the database had it.
   * @throws AntequemError `archive-unavailable`, `archive-damaged`
   */
  content(block: ArchivedBlock): Promise<Uint8Array>;
}

export const OBJECT_BYTES = 16;
export const KEY_BYTES = 32;
export const HASH_BYTES = 32;

/**
 * Finds the object of block `b`, if it is archived: {@link archivedBlock} reads it. Of a block that was erased as a whole only
 * the commitments are there.
 */
export const ARCHIVED_COLUMN = `CASE WHEN b.content IS NULL THEN coalesce(
  (SELECT a.object || a.key || a.object_hash FROM archived_blocks a WHERE a.log = b.log AND a.first = b.first),
  (SELECT c.object || c.key || c.object_hash FROM archived_commitments c WHERE c.log = b.log AND c.first = b.first))
  END AS archived`;

/** @param packed the {@link ARCHIVED_COLUMN} of the block */
export function archivedBlock(
  { log, first, count }: Pick<ArchivedBlock, 'log' | 'first' | 'count'>,
  packed: Uint8Array,
): ArchivedBlock {
  const keyAt = OBJECT_BYTES;
  const hashAt = keyAt + KEY_BYTES;
  return {
    log,
    first,
    count,
    object: packed.subarray(0, keyAt),
    key: packed.subarray(keyAt, hashAt),
    hash: packed.subarray(hashAt, hashAt + HASH_BYTES),
  };
}

/** @throws AntequemError `archive-missing` where no archive is configured, and as {@link BlockArchive} */
export async function contentOf(archive: BlockArchive | null, block: ArchivedBlock): Promise<Uint8Array> {
  if (archive !== null) return archive.content(block);
  throw archiveMissing();
}

export function archiveMissing(): AntequemError {
  return new AntequemError(
    'archive-missing',
    'old payloads lie in an archive that is not configured: set ARCHIVE_PRIVATE_URL and its credentials',
  );
}
