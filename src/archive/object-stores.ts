// One archive in one bucket or in several, which hold the same.

import type { Bucket, ObjectLock } from './bucket.ts';

/** Where objects are written. */
export interface ObjectStore {
  /** For people, without secrets. */
  describe(): string;
  /** Writes an object that is not there yet, as {@link Bucket.putNew}. */
  putNew(name: string, bytes: Uint8Array, lock?: ObjectLock | null): Promise<unknown>;
  /** Writes an object in the place of an older one, as {@link Bucket.putCurrent}. */
  putCurrent(name: string, bytes: Uint8Array, lock?: ObjectLock | null): Promise<unknown>;
  /** The names below a prefix. */
  list(under: string): AsyncIterable<string>;
  /** Deletes an object with all its versions. @returns `locked` where a store refuses to delete one of them */
  remove(name: string): Promise<'deleted' | 'locked'>;
}

/** Writes to all of several buckets: what one of them does not take is not in the archive. */
export class ObjectStores implements ObjectStore {
  readonly #buckets: readonly Bucket[];

  constructor(buckets: readonly Bucket[]) {
    this.#buckets = buckets;
  }

  describe(): string {
    return this.#buckets.map((bucket) => bucket.describe()).join(' and ');
  }

  async putNew(name: string, bytes: Uint8Array, lock: ObjectLock | null = null): Promise<void> {
    await Promise.all(this.#buckets.map((bucket) => bucket.putNew(name, bytes, lock)));
  }

  async putCurrent(name: string, bytes: Uint8Array, lock: ObjectLock | null = null): Promise<void> {
    await Promise.all(this.#buckets.map((bucket) => bucket.putCurrent(name, bytes, lock)));
  }

  async *list(under: string): AsyncGenerator<string> {
    const names = new Set<string>();
    for (const bucket of this.#buckets) for await (const name of bucket.list(under)) names.add(name);
    yield* names;
  }

  async remove(name: string): Promise<'deleted' | 'locked'> {
    const removed = await Promise.all(this.#buckets.map((bucket) => bucket.remove(name)));
    return removed.includes('locked') ? 'locked' : 'deleted';
  }
}
