import type { AnchorTarget } from './target.ts';

interface Waiting {
  readonly round: number;
  readonly resolve: (again: number | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers rounds that are woken one by one: whatever came in while a target was at work is its next batch. A thousand
 * rounds then cost a few dozen database transactions, and a single one waits for nobody.
 */
export class RoundBatch {
  readonly #target: AnchorTarget;
  #waiting: Waiting[] = [];
  #working = false;

  constructor(target: AnchorTarget) {
    this.#target = target;
  }

  /** After how many milliseconds to look at the round again; null: no more. */
  advance(round: number): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ round, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#waiting.length > 0) {
      // Jobs that were woken together arrive within one turn of the event loop.
      await new Promise(setImmediate);
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const outcome = await this.#target.advance([...new Set(batch.map(({ round }) => round))]);
        for (const { round, resolve } of batch) resolve(outcome.get(round) ?? null);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#working = false;
  }
}
