import { type Transferable, Worker } from 'node:worker_threads';
import { z } from 'zod';
import { AntequemError, type ErrorCode, FormatError } from '../core/errors.ts';
import { Problem } from './problem.ts';

/** Verdicts on what others send. */
export interface Verifications {
  /**
   * The verdict on a body of `POST /v1/verify`, as JSON. The bytes are given away.
   * @throws FormatError for what the body breaks; Problem `overloaded`
   */
  verdict(body: Uint8Array): Promise<string>;
  close(): Promise<void>;
}

/** What the thread is sent, and what it answers. */
export interface VerificationMessage {
  readonly id: number;
  readonly body: Uint8Array;
}
export type VerificationAnswer = { readonly id: number } & (
  | { readonly verdict: string }
  | { readonly refused: { readonly code: ErrorCode; readonly message: string } }
  | { readonly failed: string }
);

/** Verified side by side: most of the time goes by waiting for nodes. */
const AT_ONCE = 4;
/** Bodies that wait beside them. */
const MAX_WAITING = 16;
/** Milliseconds from being taken up: a node may take its time, a thread that hangs is ended. */
const DEADLINE_MS = 60_000;
/** Milliseconds without work after which the thread is ended and its memory is free. */
const IDLE_MS = 30_000;
/** Of the thread; it has a heap of its own. */
const MAX_HEAP_MB = 128;

interface Job {
  readonly body: Uint8Array;
  readonly resolve: (verdict: string) => void;
  readonly reject: (error: unknown) => void;
  deadline: NodeJS.Timeout | null;
}

const answered = z.custom<VerificationAnswer>(
  (value) => typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'number',
);

/**
 * Verifies in one thread, away from the event loop that answers everybody else. The thread starts with the first body, and
 * ends when it has had nothing to do for a while.
 */
export class VerificationThread implements Verifications {
  readonly #file: URL;
  readonly #data: unknown;
  readonly #running = new Map<number, Job>();
  readonly #waiting: Job[] = [];
  #worker: Worker | null = null;
  #idle: NodeJS.Timeout | null = null;
  #next = 0;
  #closed = false;

  /** @param file what the thread runs @param data what it is given at its start */
  constructor(file: URL, data: unknown) {
    this.#file = file;
    this.#data = data;
  }

  verdict(body: Uint8Array): Promise<string> {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new Problem('overloaded', 'too much is being verified: try again in a moment'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ body, resolve, reject, deadline: null });
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
    while (this.#running.size < AT_ONCE) {
      const job = this.#waiting.shift();
      if (job === undefined) break;
      this.#start(job);
    }
    if (this.#running.size === 0 && this.#worker !== null) {
      this.#idle = setTimeout(() => void this.#end('idle'), IDLE_MS).unref();
    }
  }

  #start(job: Job): void {
    this.#worker ??= this.#open();
    const id = this.#next++;
    this.#running.set(id, job);
    job.deadline = setTimeout(() => void this.#end('a verification took too long'), DEADLINE_MS).unref();
    const { buffer, byteOffset, byteLength } = job.body;
    // A small body lies in memory that it shares with others, which would go with it.
    const own = byteLength === buffer.byteLength && buffer instanceof ArrayBuffer;
    const body = own ? job.body : new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength));
    const given: Transferable[] = body.buffer instanceof ArrayBuffer ? [body.buffer] : [];
    this.#worker.postMessage({ id, body: new Uint8Array(body.buffer) } satisfies VerificationMessage, given);
  }

  #open(): Worker {
    const worker = new Worker(this.#file, {
      workerData: this.#data,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB, maxYoungGenerationSizeMb: 16 },
      // Secrets of the service are none of its business.
      env: {},
    });
    worker.unref();
    worker.on('message', (message) => this.#settle(answered.parse(message)));
    worker.on('error', () => {
      if (this.#worker === worker) void this.#end('a verification failed');
    });
    return worker;
  }

  #settle(answer: VerificationAnswer): void {
    const job = this.#running.get(answer.id);
    if (job === undefined) return;
    this.#running.delete(answer.id);
    if (job.deadline !== null) clearTimeout(job.deadline);
    if ('verdict' in answer) job.resolve(answer.verdict);
    else if ('refused' in answer) job.reject(new FormatError(answer.refused.code, answer.refused.message));
    else job.reject(new AntequemError('internal', answer.failed));
    this.#advance();
  }

  /** Ends the thread: with what runs in it; what waits goes to the next one. */
  async #end(why: string): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    if (this.#idle !== null) clearTimeout(this.#idle);
    const lost = [...this.#running.values(), ...(this.#closed ? this.#waiting.splice(0) : [])];
    this.#running.clear();
    for (const { deadline, reject } of lost) {
      if (deadline !== null) clearTimeout(deadline);
      reject(new Problem('overloaded', `${why}: try again`));
    }
    await worker?.terminate();
    if (!this.#closed && this.#waiting.length > 0) this.#advance();
  }
}
