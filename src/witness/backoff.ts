import { LruCache } from '../core/lru.ts';

/** Puts off what fails: each time in a row for twice as long. */
export class Backoff {
  readonly #first: number;
  readonly #longest: number;
  readonly #now: () => number;
  readonly #failures = new LruCache<string, { count: number; until: number }>(20_000);

  /** @param first @param longest milliseconds @param now milliseconds that only ever grow */
  constructor(first: number, longest: number, now: () => number) {
    this.#first = first;
    this.#longest = longest;
    this.#now = now;
  }

  /** Whether it should not be tried now. */
  rests(key: string): boolean {
    return (this.#failures.get(key)?.until ?? 0) > this.#now();
  }

  /** @returns how often it failed in a row, this time included */
  failed(key: string): number {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const delay = Math.min(this.#longest, this.#first * 2 ** Math.min(count - 1, 30));
    this.#failures.set(key, { count, until: this.#now() + delay });
    return count;
  }

  /** @returns how often it had failed in a row */
  succeeded(key: string): number {
    const count = this.#failures.get(key)?.count ?? 0;
    this.#failures.delete(key);
    return count;
  }
}
