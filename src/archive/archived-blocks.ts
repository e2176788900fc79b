// Reads blocks of entries from the private archive, through a bounded cache.

import { sha256 } from '#sha256';
import { equalBytes, toHex } from '../core/bytes.ts';
import { AntequemError, hasCode } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import type { ArchivedBlock, BlockArchive } from '../log/blocks/archived-block.ts';
import { MAX_OBJECT_BYTES, openBlock } from './block-cipher.ts';
import type { Bucket } from './bucket.ts';

/** Bytes of remembered contents. */
const CACHED_BYTES = 32 << 20;
/** Of one, what its objects take beside its bytes. */
const BESIDE_BYTES = 500;
/** Objects that are fetched at the same time. */
const FETCHES = 8;

/** Where the object of a block lies. @param object 16 bytes */
export function objectName(object: Uint8Array): string {
  const hex = toHex(object);
  return `blocks/${hex.slice(0, 2)}/${hex.slice(2)}`;
}

export class ArchivedBlocks implements BlockArchive {
  readonly #buckets: readonly Bucket[];
  readonly #contents = new LruCache<string, Uint8Array>(CACHED_BYTES);
  /** Reads under way, so that an object is fetched once for all callers. */
  readonly #reads = new Map<string, Promise<Uint8Array>>();
  readonly #waiting: (() => void)[] = [];
  #fetching = 0;

  /** @param buckets which hold the same, the one to be asked first in front */
  constructor(buckets: readonly Bucket[]) {
    this.#buckets = buckets;
  }

  async content(block: ArchivedBlock): Promise<Uint8Array> {
    // With the key in it, by which a content is known only as long as the database has the key.
    const id = `${toHex(block.object)}/${toHex(block.key)}`;
    const known = this.#contents.get(id);
    if (known !== undefined) return known;
    const underWay = this.#reads.get(id);
    if (underWay !== undefined) return underWay;
    const read = this.#fetch(block).finally(() => this.#reads.delete(id));
    this.#reads.set(id, read);
    const content = await read;
    this.#contents.set(id, content, content.length + BESIDE_BYTES);
    return content;
  }

  async #fetch(block: ArchivedBlock): Promise<Uint8Array> {
    if (this.#fetching >= FETCHES) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#fetching++;
    try {
      return await this.#readAny(block);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#fetching--;
      else next();
    }
  }

  /** Out of the first bucket that has it as it was written. */
  async #readAny(block: ArchivedBlock): Promise<Uint8Array> {
    const errors: unknown[] = [];
    for (const bucket of this.#buckets) {
      try {
        return await readObject(bucket, block);
      } catch (error) {
        errors.push(error);
      }
    }
    throw unreadable(errors);
  }
}

/** What readers are told, without the names of buckets; the cause is for the log. */
function unreadable(errors: readonly unknown[]): unknown {
  const foreign = errors.find((error) => !(error instanceof AntequemError));
  if (foreign !== undefined) return foreign;
  const damages = errors.filter((error) => hasCode(error, 'archive-damaged'));
  // A bucket that is away, or refuses for now, may have it.
  const [away] = errors.filter((error) => !damages.includes(error));
  if (away !== undefined) {
    const says = 'this entry lies in an archive that does not answer just now: try again';
    return new AntequemError('archive-unavailable', says, { cause: away });
  }
  const says =
    'this entry lies in an archive, and what lies there is not what was written: the operator has to repair it';
  return new AntequemError('archive-damaged', says, { cause: damages[0] });
}

/** The content in an object, which is held against the hash that the database has of it. */
export async function readObject(bucket: Bucket, block: ArchivedBlock): Promise<Uint8Array> {
  const name = objectName(block.object);
  const object = await bucket.get(name, MAX_OBJECT_BYTES);
  if (object === null) throw damaged(bucket, name, 'is gone');
  if (!equalBytes(sha256(object), block.hash)) throw damaged(bucket, name, 'is not what was written there');
  return openBlock(block, object, block.key);
}

function damaged(bucket: Bucket, name: string, how: string): AntequemError {
  return new AntequemError('archive-damaged', `${bucket.describe()}/${name} ${how}: antequem archive verify`);
}
