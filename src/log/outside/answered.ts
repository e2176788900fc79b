// After each commit, and before its answer, the new size and root of the log are recorded outside the database. They show what
// a promoted replica lacks.

import { within } from '../../core/time-limit.ts';
import type { Mark } from './published.ts';

/** Keeps marks of what was answered. All methods reject on failure. */
export interface AnsweredSink {
  /** For people; without secrets. */
  readonly name: string;
  /** Whether an answer waits until its mark is written. */
  readonly awaited: boolean;
  /** Keeps for each log the larger mark. Never twice at a time. */
  write(marks: ReadonlyMap<string, Mark>): Promise<void>;
  /** What all processes recorded of a log; null: nothing. */
  read(origin: string): Promise<Mark | null>;
  all(): Promise<ReadonlyMap<string, Mark>>;
  /** Replaces marks by these, even by smaller ones. */
  replace(marks: ReadonlyMap<string, Mark>): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds that an answer waits for its mark. */
const WRITE_PATIENCE_MS = 500;
const READ_PATIENCE_MS = 1_000;
const RETRY_MS = 1_000;
/** Logs whose marks are remembered. */
const MOST_KNOWN = 100_000;

/** Records what is answered without ever failing an answer: a mark that could not be recorded is reported as a gap. */
export class AnsweredHeads {
  readonly #sink: AnsweredSink;
  readonly #now: () => number;
  readonly #known = new Map<string, Mark>();
  /** The connections that each log was last compared under. */
  readonly #compared = new Map<string, number>();
  #connections = 0;
  #waiting = new Map<string, Mark>();
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #gap: number | null = null;
  #closed = false;

  /** @param now milliseconds since the Unix epoch */
  constructor(sink: AnsweredSink, now: () => number) {
    this.#sink = sink;
    this.#now = now;
  }

  get name(): string {
    return this.#sink.name;
  }

  /** Since when some answer is not recorded, in milliseconds since the Unix epoch; null: all are. */
  get gap(): number | null {
    return this.#gap;
  }

  /** Records a durable head. Never rejects, and takes at most half a second. */
  async record(origin: string, mark: Mark): Promise<void> {
    const known = this.#known.get(origin);
    if (known !== undefined && known.size >= mark.size) return;
    this.#remember(origin, mark);
    this.#waiting.set(origin, mark);
    const written = this.#write();
    if (!this.#sink.awaited) return;
    await within(WRITE_PATIENCE_MS, written, () => {
      this.#gap ??= this.#now();
    });
  }

  /** A new connection to the database may lead to another server. */
  noteConnection(): void {
    this.#connections++;
  }

  /** How far a log was answered, by all processes as of the newest connection; null: nothing is recorded. */
  async newest(origin: string): Promise<Mark | null> {
    const connections = this.#connections;
    if (this.#compared.get(origin) !== connections) {
      const stored = await within(
        READ_PATIENCE_MS,
        this.#sink.read(origin).catch(() => undefined),
        () => undefined,
      );
      if (stored !== undefined) {
        if (stored !== null && stored.size > (this.#known.get(origin)?.size ?? -1)) this.#remember(origin, stored);
        if (this.#compared.size >= MOST_KNOWN) this.#compared.clear();
        this.#compared.set(origin, connections);
      }
    }
    return this.#known.get(origin) ?? null;
  }

  /** All marks. Rejects as the sink does. */
  async all(): Promise<ReadonlyMap<string, Mark>> {
    const all = new Map(await this.#sink.all());
    for (const [origin, mark] of this.#known) if (mark.size > (all.get(origin)?.size ?? -1)) all.set(origin, mark);
    return all;
  }

  /** Replaces marks by what the database has now. */
  async replace(marks: ReadonlyMap<string, Mark>): Promise<void> {
    await this.#writing;
    await this.#sink.replace(marks);
    for (const [origin, mark] of marks) this.#known.set(origin, mark);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    await within(WRITE_PATIENCE_MS, this.#write(), () => {});
    await this.#sink.close();
  }

  #remember(origin: string, mark: Mark): void {
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    this.#known.set(origin, mark);
  }

  /** Until nothing waits. Never rejects. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.size > 0) {
      const marks = this.#waiting;
      this.#waiting = new Map();
      try {
        await this.#sink.write(marks);
      } catch {
        // Newer ones may wait already.
        for (const [origin, mark] of marks) if (!this.#waiting.has(origin)) this.#waiting.set(origin, mark);
        this.#gap ??= this.#now();
        if (!this.#closed) this.#retry ??= setTimeout(() => this.#again(), RETRY_MS).unref();
        return;
      }
    }
    this.#gap = null;
  }

  #again(): void {
    this.#retry = null;
    void this.#write();
  }
}
