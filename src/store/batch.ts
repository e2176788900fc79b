interface Pending<Q, A> {
  readonly question: Q;
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
}

const TOGETHER = 128;
/** Batches under way at a time: while the database works on one, the answers of another are made use of. */
const LANES = 3;

/**
 * Answers questions together: those that come while others are under way wait for them and then go all at once. So an
 * answer is never older than its question, and the more is asked at a time the less each costs.
 */
export class Batch<Q, A> {
  readonly #ask: (questions: readonly Q[]) => Promise<readonly A[]>;
  readonly #limit: number;
  #waiting: Pending<Q, A>[] = [];
  #lanes = 0;

  /**
   * @param ask gives the answers in the order of the questions
   * @param limit how many questions go together at most
   */
  constructor(ask: (questions: readonly Q[]) => Promise<readonly A[]>, limit: number = TOGETHER) {
    this.#ask = ask;
    this.#limit = limit;
  }

  /** Rejects as `ask` does, with all that went together. */
  get(question: Q): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject });
      if (this.#lanes === LANES) return;
      this.#lanes++;
      // Not at once: what else this turn of the event loop asks goes with it.
      setImmediate(() => void this.#work());
    });
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#limit);
      try {
        const answers = await this.#ask(batch.map(({ question }) => question));
        if (answers.length !== batch.length) throw new Error(`${answers.length} answers to ${batch.length} questions`);
        for (const [i, answer] of answers.entries()) batch[i]?.resolve(answer);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#lanes--;
  }
}

/** Answers out of rows that each tell in `n`, from 1 on, which of `count` questions they answer; null where none does. */
export function inOrder<R extends { readonly n: number }, A>(
  rows: readonly R[],
  count: number,
  answer: (row: R) => A,
): (A | null)[] {
  const answers = Array<A | null>(count).fill(null);
  for (const row of rows) answers[row.n - 1] = answer(row);
  return answers;
}
