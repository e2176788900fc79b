import { within } from '../core/time-limit.ts';

/**
 * A value that is read at most once in so many milliseconds, by one reader at a time: whoever asks often costs no more than
 * whoever asks seldom. One that is slow is still there for the next.
 */
export class Cached<T> {
  readonly #read: () => Promise<T>;
  readonly #kept: number;
  readonly #patience: number;
  readonly #clock: () => number;
  #last: { readonly value: T; readonly at: number } | null = null;
  #reading: Promise<T> | null = null;

  /** @param clock milliseconds that only grow */
  constructor(
    read: () => Promise<T>,
    { kept, patience, clock = () => performance.now() }: { kept: number; patience: number; clock?: () => number },
  ) {
    this.#read = read;
    this.#kept = kept;
    this.#patience = patience;
    this.#clock = clock;
  }

  /** The value, at most so old, or null where it takes longer than `patience` milliseconds or fails. Never throws. */
  async get(patience = this.#patience): Promise<T | null> {
    if (this.#last !== null && this.#clock() - this.#last.at < this.#kept) return this.#last.value;
    this.#reading ??= this.#read()
      .then((value) => {
        this.#last = { value, at: this.#clock() };
        return value;
      })
      .finally(() => {
        this.#reading = null;
      });
    const reading = this.#reading.catch(() => null);
    return within(patience, reading, () => null);
  }
}
