import { equalBytes, fromHex, prefixedHex } from '../core/bytes.ts';
import type { IncludedEvmAnchor } from '../core/receipt-schema.ts';

const FIRST_SIZE = 256;

/** One anchor that the service calls final. */
export interface AnchorClaim {
  /** The place of its round. */
  readonly place: number;
  /** 0x-hex. */
  readonly transaction: string;
  readonly block: { readonly number: number; readonly hash: string };
}

/** The final anchors on one chain that a service shows, some ninety bytes each. */
export class AnchorClaims {
  #count = 0;
  #places = new Float64Array(FIRST_SIZE);
  #blocks = new Float64Array(FIRST_SIZE);
  #transactions = new Uint8Array(32 * FIRST_SIZE);
  #hashes = new Uint8Array(32 * FIRST_SIZE);
  #matched = new Uint8Array(FIRST_SIZE);

  /** Of rounds in the order of their places. */
  add(place: number, { transaction, block }: Pick<IncludedEvmAnchor, 'transaction' | 'block'>): void {
    if (this.#count === this.#places.length) this.#grow();
    const at = this.#count++;
    this.#places[at] = place;
    this.#blocks[at] = block.number;
    this.#transactions.set(fromHex(transaction.slice(2)), 32 * at);
    this.#hashes.set(fromHex(block.hash.slice(2)), 32 * at);
  }

  get count(): number {
    return this.#count;
  }

  /** The chain has the root of the round in this transaction. @returns the claims that name it */
  match(place: number, transaction: string): AnchorClaim[] {
    const matched: AnchorClaim[] = [];
    const hash = fromHex(transaction.slice(2));
    for (let at = this.#first(place); at < this.#count && this.#places[at] === place; at++) {
      if (!equalBytes(this.#transactions.subarray(32 * at, 32 * at + 32), hash)) continue;
      this.#matched[at] = 1;
      matched.push(this.#at(at));
    }
    return matched;
  }

  /** The claims in blocks up to this one that nothing has matched. */
  *unmatched(until: number): Generator<AnchorClaim> {
    for (let at = 0; at < this.#count; at++) {
      if (this.#matched[at] === 0 && (this.#blocks[at] ?? 0) <= until) yield this.#at(at);
    }
  }

  /** The first claim of a place, by binary search. */
  #first(place: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#places[middle] ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #at(at: number): AnchorClaim {
    return {
      place: this.#places[at] ?? 0,
      transaction: prefixedHex(this.#transactions.subarray(32 * at, 32 * at + 32)),
      block: { number: this.#blocks[at] ?? 0, hash: prefixedHex(this.#hashes.subarray(32 * at, 32 * at + 32)) },
    };
  }

  #grow(): void {
    const size = 2 * this.#places.length;
    const floats = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const longer = new Float64Array(size);
      longer.set(old);
      return longer;
    };
    const bytes = (old: Uint8Array, width: number): Uint8Array<ArrayBuffer> => {
      const longer = new Uint8Array(width * size);
      longer.set(old);
      return longer;
    };
    this.#places = floats(this.#places);
    this.#blocks = floats(this.#blocks);
    this.#transactions = bytes(this.#transactions, 32);
    this.#hashes = bytes(this.#hashes, 32);
    this.#matched = bytes(this.#matched, 1);
  }
}
