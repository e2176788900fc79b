import type { Keeper } from './keeper.ts';
import type { MirrorState } from './state.ts';

/** Milliseconds between two writings of the state; a large one is written more rarely. */
const EVERY = 500;
const SHARE = 20;

/** Saves what an audit came to, from time to time: the mirror first, so that the state tells of nothing that is not there. */
export class Saver {
  readonly #state: MirrorState;
  readonly #keeper: Keeper | null;
  readonly #clock: () => number;
  #due: number;

  /** @param clock milliseconds, monotonic */
  constructor(state: MirrorState, keeper: Keeper | null, clock: () => number) {
    this.#state = state;
    this.#keeper = keeper;
    this.#clock = clock;
    this.#due = clock() + EVERY;
  }

  /** Saves where it is time to; what is noted meanwhile waits for the next time. */
  async tick(): Promise<void> {
    if (this.#clock() >= this.#due) await this.save();
  }

  async save(): Promise<void> {
    const began = this.#clock();
    this.#due = Number.POSITIVE_INFINITY;
    await this.#keeper?.flush();
    await this.#state.save();
    this.#due = this.#clock() + Math.max(EVERY, SHARE * (this.#clock() - began));
  }
}
