// Reads blocks of entries from the private archive, through a bounded cache.

import { sha256 } from '#sha256';
import { equalBytes, toHex } from '../core/bytes.ts';
import { LruCache } from '../core/lru.ts';
import type { ArchivedBlock, BlockArchive } from '../log/blocks/archived-block.ts';
import { MAX_OBJECT_BYTES, openBlock } from './block-cipher.ts';
import type { Bucket } from './bucket.ts';
import { BucketReader, damagedObject } from './bucket-reader.ts';

/** Bytes of remembered contents. */
const CACHED_BYTES = 32 << 20;
/** Of one, what its objects take beside its bytes. */
const BESIDE_BYTES = 500;

/** Where the object of a block lies. @param object 16 bytes */
export function objectName(object: Uint8Array): string {
  const hex = toHex(object);
  return `blocks/${hex.slice(0, 2)}/${hex.slice(2)}`;
}

export class ArchivedBlocks implements BlockArchive {
  readonly #reader: BucketReader;
  readonly #contents = new LruCache<string, Uint8Array>(CACHED_BYTES);
  /** Reads under way, so that an object is fetched once for all callers. */
  readonly #reads = new Map<string, Promise<Uint8Array>>();

  /** @param buckets which hold the same, the one to be asked first in front */
  constructor(buckets: readonly Bucket[]) {
    this.#reader = new BucketReader(buckets);
  }

  async content(block: ArchivedBlock): Promise<Uint8Array> {
    // With the key in it, by which a content is known only as long as the database has the key.
    const id = `${toHex(block.object)}/${toHex(block.key)}`;
    const known = this.#contents.get(id);
    if (known !== undefined) return known;
    const underWay = this.#reads.get(id);
    if (underWay !== undefined) return underWay;
    const read = this.#reader.read((bucket) => readObject(bucket, block)).finally(() => this.#reads.delete(id));
    this.#reads.set(id, read);
    const content = await read;
    this.#contents.set(id, content, content.length + BESIDE_BYTES);
    return content;
  }
}

/** The content in an object, which is held against the hash that the database has of it. */
export async function readObject(bucket: Bucket, block: ArchivedBlock): Promise<Uint8Array> {
  const name = objectName(block.object);
  const object = await bucket.get(name, MAX_OBJECT_BYTES);
  if (object === null) throw damagedObject(bucket, name, 'is gone');
  if (!equalBytes(sha256(object), block.hash)) throw damagedObject(bucket, name, 'is not what was written there');
  return openBlock(block, object, block.key);
}
