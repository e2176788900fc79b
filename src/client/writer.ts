import { AntequemError, messageOf } from '../core/errors.ts';
import type { AppendAnswer } from './answers.ts';
import { batchBody, batchLength, type EntryContent, entryBytes } from './batch.ts';
import { type AppendedEntry, checkAppended, checkReceipt, type KeptEntry, sha256Hex } from './check.ts';
import { flushBeforeExit, nothingToSend } from './exit.ts';
import { ServiceError } from './failure.ts';
import type { CheckedReceipt } from './receipt.ts';
import { type RetryPolicy, retrying } from './retry.ts';

/** How to send an append. */
export interface AppendOptions {
  /** The same key and body is stored once, however often it is sent within 7 days. */
  readonly idempotencyKey: string;
  readonly signal?: AbortSignal;
}

/** How far a receipt has come; `stored`: a contract can be asked about its entry. */
export type ReceiptStage = 'round' | 'stamped' | 'included' | 'finalized' | 'bitcoin' | 'stored';

/** What a writer asks of the service. */
export interface AppendService {
  readonly url: string;
  createLog(log: string): Promise<unknown>;
  appendEntry(log: string, body: Uint8Array<ArrayBuffer>, options: AppendOptions): Promise<AppendAnswer>;
  appendLines(log: string, body: Uint8Array<ArrayBuffer>, options: AppendOptions): Promise<AppendAnswer>;
  receipt(log: string, index: number, hold: { wait: number; until: ReceiptStage }): Promise<unknown>;
}

export interface WriterOptions {
  /** How much may wait to be sent; default 64 MiB and 100,000 entries. */
  readonly maxBufferedBytes?: number;
  readonly maxBufferedEntries?: number;
  /** Milliseconds that an entry waits for others to go with it; default 20. */
  readonly linger?: number;
  /** Milliseconds of unbroken failure after which a batch is given up; default: never. */
  readonly giveUpAfter?: number;
  /** Called for entries that are lost: refused by the service, without room, or given up. Default: the console. */
  readonly onError?: (error: unknown, entries: number) => void;
  readonly sleep?: RetryPolicy['sleep'];
  readonly random?: () => number;
  readonly now?: () => number;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly resolve: (entry: AppendedEntry) => void;
  readonly reject: (error: unknown) => void;
}

/** Memory that an entry needs beside its bytes. */
const OVERHEAD_BYTES = 256;

/**
 * Appends to one log in the background: entries are sent in their order, in batches, each stored once even if it is sent
 * several times. The writer waits for a service that does not answer. Every answer is checked against what was sent.
 */
export class LogWriter implements AsyncDisposable {
  readonly name: string;
  readonly #client: AppendService;
  readonly #options: WriterOptions;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #entries = 0;
  #sending: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #before: AppendAnswer | null = null;
  /** Resolve the promises of those who wait for room. */
  #waitingForRoom: (() => void)[] = [];
  #toldFull = false;
  #closed = false;

  /** Use `client.log(name)`. */
  constructor(client: AppendService, name: string, options: WriterOptions) {
    this.#client = client;
    this.name = name;
    this.#options = options;
  }

  /** Entries that are not durable yet. */
  get buffered(): number {
    return this.#entries;
  }

  /** Whether the next entry would find no room. */
  get full(): boolean {
    const { maxBufferedBytes = 64 << 20, maxBufferedEntries = 100_000 } = this.#options;
    return this.#entries >= maxBufferedEntries || this.#bytes >= maxBufferedBytes;
  }

  /**
   * Takes an entry: text, bytes, or what JSON can write. Resolves once it is durable; a caller that does not
   * wait for that learns of failures by `onError`. Rejects with AntequemError `buffer-full`, `writer-closed`, `answer-contradicts`,
   * FormatError `entry-too-large`, or what the service refused it with.
   */
  append(content: EntryContent): Promise<AppendedEntry> {
    const appended = this.#take(content);
    // A caller that ignores the promise is told by `onError`.
    appended.catch(() => {});
    return appended;
  }

  /** Resolves when there is room for another entry: `await log.ready()` before `log.append(…)` holds a fast writer back. */
  async ready(): Promise<void> {
    while (this.full) await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
  }

  /** Sends what waits; resolves once everything appended before is durable, or has failed. */
  async flush(): Promise<void> {
    const last = this.#waiting.at(-1);
    this.#send();
    // Entries appended meanwhile are not waited for.
    while (last !== undefined && this.#waiting.includes(last)) await this.#sending;
    await this.#sending;
  }

  /** Flushes and accepts nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * The receipt of an entry that `append` resolved with, now or in an earlier process: `log`, `index` and `digest` are
   * enough. It is checked against what is given, and its path leads to its checkpoint. As far as it has come, or (`wait`,
   * seconds, at most 60) once it has reached a stage.
   */
  async receipt(
    entry: KeptEntry,
    { wait = 0, until = 'finalized' }: { readonly wait?: number; readonly until?: ReceiptStage } = {},
  ): Promise<CheckedReceipt> {
    const json = await retrying(() => this.#client.receipt(this.name, entry.index, { wait, until }), this.#policy());
    return checkReceipt(json, entry);
  }

  async #take(content: EntryContent): Promise<AppendedEntry> {
    if (this.#closed) throw new AntequemError('writer-closed', `the writer of the log ${this.name} was closed`);
    const bytes = entryBytes(content);
    if (this.full) {
      const error = new AntequemError(
        'buffer-full',
        `${this.#entries} entries wait to be sent to ${this.#client.url}, and there is no room for more: wait for log.ready() before log.append()`,
      );
      if (!this.#toldFull) this.#tell(error, 1);
      this.#toldFull = true;
      throw error;
    }
    this.#toldFull = false;
    this.#entries++;
    this.#bytes += bytes.length + OVERHEAD_BYTES;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, resolve, reject });
      flushBeforeExit(this);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#sending !== null || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#send(), this.#options.linger ?? 20);
    // A process that has nothing else to do does not wait for the timer: it flushes.
    if (typeof this.#timer === 'object') this.#timer.unref?.();
  }

  #send(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#sending !== null || this.#waiting.length === 0) return;
    this.#sending = this.#sendBatch().finally(() => {
      this.#sending = null;
      if (this.#waiting.length > 0) this.#send();
      else nothingToSend(this);
    });
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#waiting.splice(0, batchLength(this.#waiting));
    try {
      const entries = await this.#deliver(batch.map(({ bytes }) => bytes));
      for (const [i, { resolve }] of batch.entries()) {
        const entry = entries[i];
        if (entry !== undefined) resolve(entry);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
      this.#tell(error, batch.length);
    } finally {
      this.#entries -= batch.length;
      this.#bytes -= batch.reduce((sum, { bytes }) => sum + bytes.length + OVERHEAD_BYTES, 0);
      if (!this.full) for (const resolve of this.#waitingForRoom.splice(0)) resolve();
    }
  }

  async #deliver(batch: readonly Uint8Array[]): Promise<AppendedEntry[]> {
    const { lines, body } = batchBody(batch);
    // One key for all attempts: an attempt whose answer was lost may have been stored.
    const options: AppendOptions = { idempotencyKey: crypto.randomUUID() };
    const send = (): Promise<AppendAnswer> =>
      lines ? this.#client.appendLines(this.name, body, options) : this.#client.appendEntry(this.name, body, options);
    const digests = await Promise.all(batch.map(sha256Hex));
    const answer = await retrying(async () => {
      try {
        return await send();
      } catch (error) {
        if (!(error instanceof ServiceError && error.code === 'log-not-found')) throw error;
        await this.#client.createLog(this.name);
        return send();
      }
    }, this.#policy());
    const entries = checkAppended(answer, { digests, before: this.#before });
    this.#before = answer;
    return entries;
  }

  #policy(): RetryPolicy {
    const {
      giveUpAfter = Number.POSITIVE_INFINITY,
      sleep = wait,
      random = Math.random,
      now = Date.now,
    } = this.#options;
    return { giveUpAfter, sleep, random, now };
  }

  #tell(error: unknown, entries: number): void {
    const { onError = this.#toConsole } = this.#options;
    onError(error, entries);
  }

  readonly #toConsole = (error: unknown, entries: number): void => {
    const what = messageOf(error);
    console.error(`antequem: ${entries} entries of the log ${this.name} were not appended: ${what}`);
  };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
