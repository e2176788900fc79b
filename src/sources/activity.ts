import type { Database } from '../store/database.ts';

/** Milliseconds between two writes about one source: a sender decides how often there is something to write. */
const INTERVAL_MS = 10_000;

/** Keeps beside each source when it was heard of last, for people. Writes little, and never holds up a request. */
export class SourceActivity {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #writtenAt = new Map<string, number>();

  /** @param now milliseconds since the Unix epoch */
  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /** Something came that counts as the sender's. */
  received(source: string): void {
    this.#write(source, 'received', 'UPDATE sources SET received_at = $2 WHERE id = $1', []);
  }

  /** Something was refused. @param code of the problem */
  refused(source: string, code: string): void {
    this.#write(source, 'refused', 'UPDATE sources SET refused_at = $2, refusal = $3 WHERE id = $1', [code]);
  }

  #write(source: string, what: string, statement: string, values: readonly string[]): void {
    const now = this.#now();
    const key = `${source} ${what}`;
    const last = this.#writtenAt.get(key);
    if (last !== undefined && Math.abs(now - last) < INTERVAL_MS) return;
    this.#writtenAt.set(key, now);
    // Of no consequence where it fails: the metrics count all the same.
    this.#database.query(statement, [source, now, ...values]).catch(() => {});
  }
}
