import { toHex } from '../core/bytes.ts';
import { hashNode, inclusionRanges, type Range } from '../core/merkle.ts';
import { verifyInclusion } from '../core/proof.ts';
import { decodeHashes } from '../core/receipt.ts';

/** Nodes remembered of one tree, some 150 bytes each. */
const MOST_NODES = 65_536;
/** Larger trees are not remembered: a node's key would pass 2^53. */
const LARGEST = 2 ** 46;

/**
 * The upper part of one tree, as far as proofs have shown it. Two entries of a tree share all of their paths above where
 * these meet: what was hashed for the one is compared for the other.
 */
export class TreeMemory {
  readonly #size: number;
  readonly #root: Uint8Array;
  /** Hex, by `keyOf`. What stands here is in the tree: no other bytes could have led to its root. */
  readonly #nodes = new Map<number, string>();
  /** Leaves under the smallest nodes that are remembered: so many that all of their kind fit. */
  readonly #least: number;

  /** @param root 32 bytes */
  constructor(size: number, root: Uint8Array) {
    this.#size = size;
    this.#root = root;
    this.#least = 2 ** Math.max(0, Math.ceil(Math.log2((2 * size) / MOST_NODES)));
  }

  /** What `verifyInclusion` says of the path, 32 bytes in hex each. */
  holds(leafHash: Uint8Array, index: number, path: readonly string[]): boolean {
    if (index >= this.#size) return false;
    if (this.#size >= LARGEST) {
      return verifyInclusion(leafHash, index, this.#size, decodeHashes(path), this.#root);
    }
    const siblings = inclusionRanges(index, this.#size);
    if (siblings.length !== path.length) return false;
    const seen: [number, string][] = [];
    let own: Range = { begin: index, end: index + 1 };
    let hash = leafHash;
    for (const [i, sibling] of siblings.entries()) {
      const kept = own.end - own.begin >= this.#least;
      const known = kept ? this.#nodes.get(keyOf(own)) : undefined;
      if (known !== undefined) {
        if (known !== toHex(hash)) return false;
        const above = this.#compare(siblings, path, i);
        if (above === true) this.#keep(seen);
        if (above !== null) return above;
      }
      const text = path[i] ?? '';
      if (kept) seen.push([keyOf(own), toHex(hash)]);
      if (sibling.end - sibling.begin >= this.#least) seen.push([keyOf(sibling), text]);
      const [other] = decodeHashes([text]);
      if (other === undefined) return false;
      hash = sibling.begin < own.begin ? hashNode(other, hash) : hashNode(hash, other);
      own = { begin: Math.min(own.begin, sibling.begin), end: Math.max(own.end, sibling.end) };
    }
    if (toHex(hash) !== toHex(this.#root)) return false;
    this.#keep(seen);
    return true;
  }

  /** Whether the rest of the path is what is remembered; null where something of it is not. */
  #compare(siblings: readonly Range[], path: readonly string[], from: number): boolean | null {
    for (let i = from; i < siblings.length; i++) {
      const sibling = siblings[i];
      const known = sibling === undefined ? undefined : this.#nodes.get(keyOf(sibling));
      if (known === undefined) return null;
      if (known !== path[i]) return false;
    }
    return true;
  }

  #keep(seen: readonly [number, string][]): void {
    for (const [key, hash] of seen) this.#nodes.set(key, hash);
  }
}

/** Of a node of one tree: where it begins, and how high it is. */
function keyOf({ begin, end }: Range): number {
  return begin * 64 + Math.ceil(Math.log2(end - begin));
}
