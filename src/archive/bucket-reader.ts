// Reads out of buckets that hold the same: the first that has what was written there answers.

import { AntequemError, hasCode } from '../core/errors.ts';
import type { Bucket } from './bucket.ts';

/** Objects that are fetched at the same time. */
const FETCHES = 8;
/** Milliseconds after which nobody waits on for buckets that do not answer. */
const PATIENCE_MS = 30_000;

interface Waiting {
  readonly since: number;
  readonly begin: () => void;
  readonly giveUp: (error: unknown) => void;
}

export class BucketReader {
  readonly #buckets: readonly Bucket[];
  readonly #patienceMs: number;
  readonly #waiting: Waiting[] = [];
  #fetching = 0;

  /** @param buckets the one to be asked first in front */
  constructor(buckets: readonly Bucket[], patienceMs: number = PATIENCE_MS) {
    this.#buckets = buckets;
    this.#patienceMs = patienceMs;
  }

  /**
   * @param read rejects where a bucket does not have what it should
   * @throws AntequemError `archive-unavailable`, `archive-damaged`; what else `read` throws
   */
  async read<T>(read: (bucket: Bucket) => Promise<T>): Promise<T> {
    if (this.#fetching >= FETCHES) await this.#turn();
    else this.#fetching++;
    let unavailable: unknown = null;
    try {
      return await this.#readAny(read);
    } catch (error) {
      if (hasCode(error, 'archive-unavailable')) unavailable = error;
      throw error;
    } finally {
      this.#next(unavailable);
    }
  }

  #turn(): Promise<void> {
    const { promise, resolve: begin, reject: giveUp } = Promise.withResolvers<void>();
    this.#waiting.push({ since: performance.now(), begin, giveUp });
    return promise;
  }

  /** @param unavailable what the read before failed by where no bucket answered: with deadlines, waiting has no end then */
  #next(unavailable: unknown): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (unavailable === null || performance.now() - next.since < this.#patienceMs) {
        next.begin();
        return;
      }
      next.giveUp(unavailable);
    }
    this.#fetching--;
  }

  async #readAny<T>(read: (bucket: Bucket) => Promise<T>): Promise<T> {
    const errors: unknown[] = [];
    for (const bucket of this.#buckets) {
      try {
        return await read(bucket);
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

export function damagedObject(bucket: Bucket, name: string, how: string): AntequemError {
  return new AntequemError('archive-damaged', `${bucket.describe()}/${name} ${how}: antequem archive verify`);
}
