import { equalBytes } from '../../core/bytes.ts';
import type { RoundAt } from '../checks/rounds.ts';

const BEGIN = 1_024;

/** Rounds by root, some sixty bytes each. */
export class RoundTable {
  #count = 0;
  #numbers = new Float64Array(BEGIN);
  #closedAt = new Float64Array(BEGIN);
  #roots = new Uint8Array(32 * BEGIN);
  /** Open addressing: one more than the place of a round, 0 where there is none. At most half full. */
  #slots = new Uint32Array(2 * BEGIN);

  /** A root that is there already stays at its first place. @returns the place of the round */
  add({ number, root, closedAt }: RoundAt): number {
    const known = this.find(root);
    if (known !== null) return known;
    if (this.#count === this.#numbers.length) this.#grow();
    const place = this.#count++;
    this.#numbers[place] = number;
    this.#closedAt[place] = closedAt;
    this.#roots.set(root, 32 * place);
    this.#slots[this.#slotOf(root)] = place + 1;
    return place;
  }

  /** The place of the round with this root. */
  find(root: Uint8Array): number | null {
    const place = this.#slots[this.#slotOf(root)] ?? 0;
    return place === 0 ? null : place - 1;
  }

  at(place: number): RoundAt {
    return {
      number: this.#numbers[place] ?? 0,
      closedAt: this.#closedAt[place] ?? 0,
      root: this.#roots.slice(32 * place, 32 * (place + 1)),
    };
  }

  get count(): number {
    return this.#count;
  }

  /** The slot that has the root, or the empty one where it belongs. */
  #slotOf(root: Uint8Array): number {
    const mask = this.#slots.length - 1;
    // Roots are hashes: their first bytes are as good as any other hash of them.
    const first = new DataView(root.buffer, root.byteOffset, 4).getUint32(0);
    for (let slot = first & mask; ; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] ?? 0;
      if (place === 0) return slot;
      if (equalBytes(this.#roots.subarray(32 * (place - 1), 32 * place), root)) return slot;
    }
  }

  #grow(): void {
    const size = 2 * this.#numbers.length;
    const [numbers, closedAt, roots] = [this.#numbers, this.#closedAt, this.#roots];
    this.#numbers = new Float64Array(size);
    this.#closedAt = new Float64Array(size);
    this.#roots = new Uint8Array(32 * size);
    this.#numbers.set(numbers);
    this.#closedAt.set(closedAt);
    this.#roots.set(roots);
    this.#slots = new Uint32Array(2 * size);
    for (let place = 0; place < this.#count; place++) {
      this.#slots[this.#slotOf(this.#roots.subarray(32 * place, 32 * (place + 1)))] = place + 1;
    }
  }
}
