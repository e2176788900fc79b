/** The erasures that `_system` records: 8 bytes each. */
export class Erasures {
  readonly #indices = new Map<string, { list: Float64Array; length: number; sorted: boolean }>();

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

  /** Those of one log, ascending. */
  of(logOrigin: string): Float64Array {
    const known = this.#indices.get(logOrigin);
    if (known === undefined) return new Float64Array(0);
    const list = known.list.subarray(0, known.length);
    if (!known.sorted) list.sort();
    known.sorted = true;
    return list;
  }

  origins(): IterableIterator<string> {
    return this.#indices.keys();
  }
}
