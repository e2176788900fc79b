/** Of the time that work took: so much longer nothing is done while entries are appended. */
const REST = 2;

export interface RestingTime {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
}

/**
 * Has work in the background rest while somebody appends: a low priority holds back this thread alone, not what the database and
 * the garbage collector do for it.
 */
export class RestingWork {
  readonly #commits: Int32Array;
  readonly #time: RestingTime;
  #restsUntil = Number.NEGATIVE_INFINITY;

  /** @param commits counts what was committed, in memory that is shared with whoever appends */
  constructor(commits: Int32Array, time: RestingTime) {
    this.#commits = commits;
    this.#time = time;
  }

  /** Does a small piece of work, once nothing rests. If something was appended meanwhile, what comes next waits. */
  async work<T>(piece: () => Promise<T>): Promise<T> {
    for (let rest = this.#rest(); rest > 0; rest = this.#rest()) await this.#time.sleep(rest);
    const [begun, commits] = [this.#time.now(), Atomics.load(this.#commits, 0)];
    try {
      return await piece();
    } finally {
      const now = this.#time.now();
      if (Atomics.load(this.#commits, 0) !== commits) {
        this.#restsUntil = Math.max(this.#restsUntil, now) + REST * (now - begun);
      }
    }
  }

  #rest(): number {
    return this.#restsUntil - this.#time.now();
  }
}
