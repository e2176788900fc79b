import { LruCache } from '../core/lru.ts';

/** Milliseconds that an answer holds where news fail to come. */
const PATIENCE = 1_000;
const ROUNDS = 2_000;

/**
 * Reads what changes seldom and is asked for often, such as the anchors of a round: once for all who ask, until there is
 * news or a second has gone by.
 */
export class Remembered<A> {
  readonly #read: (round: number) => Promise<A>;
  readonly #now: () => number;
  readonly #answers = new LruCache<
    number,
    { readonly answer: Promise<A>; readonly until: number; readonly age: number }
  >(ROUNDS);
  #age = 0;

  /** @param now milliseconds that never step back */
  constructor(read: (round: number) => Promise<A>, now: () => number) {
    this.#read = read;
    this.#now = now;
  }

  /** Something moved on: what was read before holds no more. */
  forget(): void {
    this.#age++;
  }

  get(round: number): Promise<A> {
    const known = this.#answers.get(round);
    if (known !== undefined && known.age === this.#age && this.#now() < known.until) return known.answer;
    const answer = this.#read(round);
    this.#answers.set(round, { answer, until: this.#now() + PATIENCE, age: this.#age });
    answer.catch(() => this.#answers.delete(round));
    return answer;
  }
}
