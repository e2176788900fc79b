// What `_system` tells of erased entries.

import { type IndexRange, united, without } from '../../core/index-ranges.ts';
import type { Queryable } from '../../store/database.ts';
import type { ActOf } from '../checks/acts.ts';

/** How an entry is on record: erased by itself, by a run of retention, or named by a run that has not come to it yet. */
export type Erasure = 'single' | 'retention' | 'open';

/** What is on record of the entries of one log. */
export class ErasureRecord {
  readonly #single: Float64Array;
  readonly #runs: readonly IndexRange[];
  readonly #open: readonly IndexRange[];
  readonly #at = { single: 0, runs: 0, open: 0 };

  /**
   * @param single indices, ascending
   * @param runs ranges that runs name, ascending
   * @param open the part of these that is still to be erased, ascending
   */
  constructor(single: Float64Array, runs: readonly IndexRange[] = [], open: readonly IndexRange[] = []) {
    this.#single = single;
    this.#runs = runs;
    this.#open = open;
  }

  /** Null: nothing is on record. Indices are asked for in ascending order. */
  at(index: number): Erasure | null {
    const at = this.#at;
    while ((this.#single[at.single] ?? Number.POSITIVE_INFINITY) < index) at.single++;
    if (this.#single[at.single] === index) return 'single';
    while ((this.#runs[at.runs]?.[1] ?? Number.POSITIVE_INFINITY) <= index) at.runs++;
    if ((this.#runs[at.runs]?.[0] ?? Number.POSITIVE_INFINITY) > index) return null;
    while ((this.#open[at.open]?.[1] ?? Number.POSITIVE_INFINITY) <= index) at.open++;
    return (this.#open[at.open]?.[0] ?? Number.POSITIVE_INFINITY) > index ? 'retention' : 'open';
  }

  /** The last entry on record; null: there is none. */
  get last(): number | null {
    const last = Math.max(this.#single.at(-1) ?? -1, (this.#runs.at(-1)?.[1] ?? 0) - 1);
    return last < 0 ? null : last;
  }
}

/** Those of all logs. A run follows the one before, so that its ranges are few; single ones take 8 bytes each. */
export class Erasures {
  readonly #indices = new Map<string, { list: Float64Array; length: number; sorted: boolean }>();
  readonly #runs = new Map<string, IndexRange[]>();

  add(logOrigin: string, index: number): void {
    const known = this.#indices.get(logOrigin) ?? { list: new Float64Array(64), length: 0, sorted: true };
    this.#indices.set(logOrigin, known);
    if (known.length === known.list.length) {
      const longer = new Float64Array(known.list.length * 2);
      longer.set(known.list);
      known.list = longer;
    }
    known.list[known.length++] = index;
    known.sorted = false;
  }

  addRun({ ranges }: ActOf<'entries-erased'>): void {
    for (const { log, first, count } of ranges) {
      const known = this.#runs.get(log) ?? [];
      this.#runs.set(log, united([...known, [first, first + count]]));
    }
  }

  /** A hold keeps what a run had named and not come to. */
  keep({ log, kept }: ActOf<'hold-added'>): void {
    const known = this.#runs.get(log);
    if (known === undefined || kept.length === 0) return;
    const taken = kept.map(({ first, count }): IndexRange => [first, first + count]);
    this.#runs.set(log, without(known, taken));
  }

  /** Those of one log. @param id its row */
  async of(db: Queryable, { id, origin }: { readonly id: number; readonly origin: string }): Promise<ErasureRecord> {
    const { rows } = await db.query<{ erased_to: number; behind: number }>(
      'SELECT erased_to, behind FROM retention_ranges WHERE log = $1 AND erased_to < behind',
      [id],
    );
    const open = rows.map(({ erased_to, behind }): IndexRange => [erased_to, behind]);
    return new ErasureRecord(this.#single(origin), this.#runs.get(origin) ?? [], united(open));
  }

  #single(logOrigin: string): Float64Array {
    const known = this.#indices.get(logOrigin);
    if (known === undefined) return new Float64Array(0);
    const list = known.list.subarray(0, known.length);
    if (!known.sorted) list.sort();
    known.sorted = true;
    return list;
  }
}
