// A thread beside the event loop that answers everybody else.

import { setFlagsFromString } from 'node:v8';
import { type Transferable, Worker } from 'node:worker_threads';
import { z } from 'zod';
import { AntequemError, FormatError } from '../core/errors.ts';
import type { Question, ThreadAnswer } from './answering.ts';
import { Problem } from './problem.ts';

export interface ThreadOptions<A> {
  /** What the thread runs. It calls `answerQuestions`. */
  readonly file: URL;
  /** Its `workerData`. */
  readonly data: unknown;
  /** Checks an answer of the thread. */
  readonly parse: (answer: unknown) => A;
  /** What a question asks for, with its article: `a search`. */
  readonly what: string;
  /** Questions that are answered side by side. */
  readonly atOnce: number;
  /** Questions that wait besides. */
  readonly mostWaiting: number;
  /** Of the thread, which has a heap of its own. */
  readonly heapMb: number;
}

/** Milliseconds that answering may take. Then the thread is ended with everything in it: it may hang. */
const DEADLINE_MS = 60_000;
/** Milliseconds without a question after which the thread is ended, so that its memory is free. */
const IDLE_MS = 30_000;

interface Job<A> {
  readonly question: unknown;
  readonly transfer: readonly Transferable[];
  readonly resolve: (answer: A) => void;
  readonly reject: (error: unknown) => void;
  deadline: NodeJS.Timeout | null;
}

const answered = z.custom<ThreadAnswer>(
  (value) => typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'number',
);

/** Has questions answered by one thread. The thread starts with the first question and ends when there are none for a while. */
export class WorkThread<A> {
  readonly #options: ThreadOptions<A>;
  readonly #running = new Map<number, Job<A>>();
  readonly #waiting: Job<A>[] = [];
  #worker: Worker | null = null;
  #idle: NodeJS.Timeout | null = null;
  #next = 0;
  #closed = false;

  constructor(options: ThreadOptions<A>) {
    this.#options = options;
  }

  /**
   * @param transfer memory of the question that is given away
   * @throws Problem `overloaded`; what answering it throws
   */
  ask(question: unknown, transfer: readonly Transferable[] = []): Promise<A> {
    if (this.#closed || this.#waiting.length >= this.#options.mostWaiting) {
      return Promise.reject(this.#overloaded(`too much waits for ${this.#options.what}`));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, transfer, resolve, reject, deadline: null });
      this.#advance();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#end('the process is about to stop');
  }

  #advance(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    while (this.#running.size < this.#options.atOnce) {
      const job = this.#waiting.shift();
      if (job === undefined) break;
      this.#start(job);
    }
    if (this.#running.size === 0 && this.#worker !== null) {
      this.#idle = setTimeout(() => void this.#end('idle'), IDLE_MS).unref();
    }
  }

  #start(job: Job<A>): void {
    this.#worker ??= this.#open();
    const id = this.#next++;
    this.#running.set(id, job);
    job.deadline = setTimeout(() => void this.#end(`${this.#options.what} took too long`), DEADLINE_MS).unref();
    this.#worker.postMessage({ id, question: job.question } satisfies Question, job.transfer);
  }

  #open(): Worker {
    const { file, data, heapMb, what } = this.#options;
    // What the process has of it for the event loop would win over the limit below.
    setFlagsFromString('--max-semi-space-size=0');
    const worker = new Worker(file, {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: 8 },
      // Secrets of the service are none of its business.
      env: {},
    });
    worker.unref();
    worker.on('message', (message) => this.#settle(answered.parse(message)));
    worker.on('error', () => {
      if (this.#worker === worker) void this.#end(`${what} failed`);
    });
    return worker;
  }

  #settle(answer: ThreadAnswer): void {
    const job = this.#running.get(answer.id);
    if (job === undefined) return;
    this.#running.delete(answer.id);
    if (job.deadline !== null) clearTimeout(job.deadline);
    if ('answer' in answer) job.resolve(this.#options.parse(answer.answer));
    else job.reject(errorOf(answer));
    this.#advance();
  }

  /** Ends the thread with what runs in it. What waits goes to the next thread. */
  async #end(why: string): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    if (this.#idle !== null) clearTimeout(this.#idle);
    const lost = [...this.#running.values(), ...(this.#closed ? this.#waiting.splice(0) : [])];
    this.#running.clear();
    for (const { deadline, reject } of lost) {
      if (deadline !== null) clearTimeout(deadline);
      reject(this.#overloaded(why));
    }
    await worker?.terminate();
    if (!this.#closed && this.#waiting.length > 0) this.#advance();
  }

  #overloaded(why: string): Problem {
    return new Problem('overloaded', `${why}: try again in a moment`);
  }
}

function errorOf(answer: Exclude<ThreadAnswer, { readonly answer: unknown }>): Error {
  if ('malformed' in answer) return new FormatError(answer.malformed.code, answer.malformed.message);
  if ('refused' in answer) return new AntequemError(answer.refused.code, answer.refused.message);
  // The code of the system or of PostgreSQL says whether it passes.
  return Object.assign(new Error(answer.failed.message), { code: answer.failed.code });
}
