import type { CompactRange } from '../core/compact-range.ts';
import type { Queryable } from '../store/database.ts';
import { readCompactRange } from './head.ts';
import type { ChainedHead } from './placement.ts';
import { setBack } from './rollback.ts';

/** What a process remembers of a log: the head of its last commit to it, and the tree there. */
export interface KnownLog {
  readonly head: ChainedHead;
  readonly range: CompactRange;
}

/** 24 kB each at the most. */
const MAX_LOGS = 2_000;

/** The logs that a process appends to. What it remembers is valid only while the database has the same head. */
export class KnownLogs {
  /** A commit takes the memory out and changes it; the size stays. */
  readonly #logs = new Map<number, { readonly size: number; readonly known: KnownLog | null }>();

  /** Takes out what is remembered; null: nothing is, or a commit has it. */
  take(log: number): KnownLog | null {
    const known = this.#logs.get(log)?.known ?? null;
    if (known !== null) this.#logs.set(log, { size: known.head.size, known: null });
    return known;
  }

  /**
   * Takes out the tree of a log that has this size in the database: as it is remembered, or else read.
   * @throws AntequemError `database-set-back` where the log was larger before
   */
  async takeAt(tx: Queryable, log: number, size: number): Promise<CompactRange> {
    const before = this.sizeOf(log);
    if (before !== null && before > size) throw setBack(`log ${log} has ${size} entries and had ${before}`);
    const range = this.take(log)?.range;
    return range?.size === size ? range : readCompactRange(tx, log, size);
  }

  /** The size at the last commit; null: it is not remembered. */
  sizeOf(log: number): number | null {
    return this.#logs.get(log)?.size ?? null;
  }

  /** Remembers a durable head. */
  keep(log: number, known: KnownLog): void {
    this.#logs.set(log, { size: known.head.size, known });
    if (this.#logs.size > MAX_LOGS) for (const oldest of this.#logs.keys()) return void this.#logs.delete(oldest);
  }
}
