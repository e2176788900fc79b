import { LruCache } from '../core/lru.ts';

/** Exponential backoff: each failure in a row doubles the delay. */
export class Backoff {
  readonly #first: number;
  readonly #longest: number;
  readonly #now: () => number;
  readonly #failures = new LruCache<string, { count: number; until: number }>(20_000);

  /** @param first @param longest milliseconds @param now milliseconds of a monotonic clock */
  constructor(first: number, longest: number, now: () => number) {
    this.#first = first;
    this.#longest = longest;
    this.#now = now;
  }

  /** Whether the delay is still running. */
  rests(key: string): boolean {
    return (this.#failures.get(key)?.until ?? 0) > this.#now();
  }

  /** @returns failures in a row, including this one */
  failed(key: string): number {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const delay = Math.min(this.#longest, this.#first * 2 ** Math.min(count - 1, 30));
    this.#failures.set(key, { count, until: this.#now() + delay });
    return count;
  }

  /** @returns failures in a row before this success */
  succeeded(key: string): number {
    const count = this.#failures.get(key)?.count ?? 0;
    this.#failures.delete(key);
    return count;
  }
}
