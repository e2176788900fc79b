// The Merkle tree of RFC 9162 section 2.1 (as RFC 6962) over SHA-256.

import { sha256, sha256Into } from '#sha256';
import { concat } from './bytes.ts';
import { AntequemError } from './errors.ts';

export const HASH_SIZE = 32;

/** The root of the empty tree: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array(0));

const LEAF = new Uint8Array([0x00]);

/** SHA-256(0x00 ‖ data). */
export function hashLeaf(data: Uint8Array): Uint8Array {
  return sha256(concat(LEAF, data));
}

/** The hashes of leaves one after the other, as `MerkleTree` takes them. There may be hundreds of thousands of leaves. */
export function hashLeaves(leaves: readonly Uint8Array[]): Uint8Array {
  const hashes = new Uint8Array(leaves.length * HASH_SIZE);
  for (const [i, leaf] of leaves.entries()) hashes.set(hashLeaf(leaf), i * HASH_SIZE);
  return hashes;
}

/** 0x01 ‖ left ‖ right: filled anew for each node. */
const NODE = new Uint8Array(65);
NODE[0] = 0x01;

/** SHA-256(0x01 ‖ left ‖ right). @throws AntequemError `tree-shape` unless both have 32 bytes */
export function hashNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== HASH_SIZE || right.length !== HASH_SIZE) {
    throw new AntequemError('tree-shape', 'the hashes below a node have 32 bytes each');
  }
  NODE.set(left, 1);
  NODE.set(right, 1 + HASH_SIZE);
  return sha256(NODE);
}

/** A perfect subtree: the 2^level leaves from index · 2^level on. */
export interface Node {
  readonly level: number;
  readonly index: number;
}

/** The leaves from `begin` up to, not including, `end`. */
export interface Range {
  readonly begin: number;
  readonly end: number;
}

/** Where the tree of `size` leaves splits: the largest power of two below `size`. */
function split(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** The perfect subtrees that make up a range which begins on a multiple of its largest part, left to right. */
export function perfectNodes(range: Range): Node[] {
  const nodes: Node[] = [];
  let { begin } = range;
  while (begin < range.end) {
    let level = 0;
    let width = 1;
    while (begin % (width * 2) === 0 && begin + width * 2 <= range.end) {
      width *= 2;
      level++;
    }
    nodes.push({ level, index: begin / width });
    begin += width;
  }
  return nodes;
}

/** The root over neighbouring perfect subtrees, given left to right; the empty root for none. */
export function foldRight(hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.length === 0 ? EMPTY_ROOT : hashes.reduceRight((root, hash) => hashNode(hash, root));
}

/**
 * Replaces sibling hashes by their parents in place: the pair at 2i, 2i+1 becomes the hash at i. A last one without a sibling
 * is dropped. @returns the number of parents
 */
function hashPairs(hashes: Uint8Array, count: number): number {
  const parents = Math.floor(count / 2);
  for (let i = 0; i < parents; i++) {
    NODE.set(hashes.subarray(i * 64, i * 64 + 64), 1);
    sha256Into(NODE, hashes, i * 32);
  }
  return parents;
}

/** The root of a perfect subtree from its 2^k leaves (or lower nodes), one after the other, 32 bytes each. */
export function perfectRoot(hashes: Uint8Array): Uint8Array {
  let count = hashes.length / HASH_SIZE;
  if (!Number.isInteger(Math.log2(count))) {
    throw new AntequemError('tree-shape', `a perfect subtree cannot have ${count} leaves`);
  }
  const work = new Uint8Array(hashes);
  while (count > 1) count = hashPairs(work, count);
  return work.slice(0, HASH_SIZE);
}

/** A tree held in memory, every perfect subtree of it; for rounds and tests. 64 bytes a leaf. */
export class MerkleTree {
  readonly size: number;
  readonly #levels: Uint8Array[] = [];
  /** Roots from an index to the end, which the paths of one tree share: one a level at most. */
  readonly #edge = new Map<number, Uint8Array>();

  /** @param leafHashes all leaf hashes one after the other, 32 bytes each */
  constructor(leafHashes: Uint8Array) {
    if (leafHashes.length % HASH_SIZE !== 0) throw new AntequemError('tree-shape', 'leaf hashes have 32 bytes each');
    this.size = leafHashes.length / HASH_SIZE;
    let level = new Uint8Array(leafHashes);
    let count = this.size;
    while (count > 0) {
      this.#levels.push(level);
      const parents = level.slice(0, count * HASH_SIZE);
      count = hashPairs(parents, count);
      level = parents.slice(0, count * HASH_SIZE);
    }
  }

  /** The hash of a perfect subtree that lies within the tree. */
  node(node: Node): Uint8Array {
    const level = this.#levels[node.level];
    const hash = level?.slice(node.index * HASH_SIZE, (node.index + 1) * HASH_SIZE);
    if (hash?.length !== HASH_SIZE) {
      throw new AntequemError('tree-shape', `no node ${node.index} on level ${node.level} of ${this.size} leaves`);
    }
    return hash;
  }

  /** The root of the tree's first `size` leaves. */
  root(size: number = this.size): Uint8Array {
    return this.#range({ begin: 0, end: size });
  }

  /** Inclusion path of leaf `index` in the tree of the first `size` leaves, from the leaf up. */
  inclusionPath(index: number, size: number = this.size): Uint8Array[] {
    return inclusionRanges(index, size).map((range) => this.#range(range));
  }

  /** Consistency path from the first `from` leaves to the first `to`. */
  consistencyPath(from: number, to: number = this.size): Uint8Array[] {
    return consistencyRanges(from, to).map((range) => this.#range(range));
  }

  #range(range: Range): Uint8Array {
    const nodes = perfectNodes(range);
    const [first] = nodes;
    if (nodes.length === 1 && first !== undefined) return this.node(first);
    const known = range.end === this.size ? this.#edge.get(range.begin) : undefined;
    const root = known ?? foldRight(nodes.map((node) => this.node(node)));
    if (range.end === this.size) this.#edge.set(range.begin, root);
    return root;
  }
}

/**
 * Which subtrees the inclusion path of leaf `index` names, from the leaf up (RFC 9162 section 2.1.3.1).
 * @throws AntequemError `proof-range` unless index < size
 */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!(index >= 0 && index < size && Number.isSafeInteger(index) && Number.isSafeInteger(size))) {
    throw new AntequemError('proof-range', `no leaf ${index} in a tree of ${size}`);
  }
  const ranges: Range[] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const middle = begin + split(end - begin);
    if (index < middle) {
      ranges.push({ begin: middle, end });
      end = middle;
    } else {
      ranges.push({ begin, end: middle });
      begin = middle;
    }
  }
  return ranges.reverse();
}

/**
 * Which subtrees the consistency path names (RFC 9162 section 2.1.4.1); none for equal sizes.
 * @throws AntequemError `proof-range` unless 0 < from ≤ to
 */
export function consistencyRanges(from: number, to: number): Range[] {
  if (!(from > 0 && from <= to && Number.isSafeInteger(from) && Number.isSafeInteger(to))) {
    throw new AntequemError('proof-range', `no consistency proof from size ${from} to size ${to}`);
  }
  const ranges: Range[] = [];
  let begin = 0;
  let end = to;
  let whole = true;
  while (end !== from) {
    const middle = begin + split(end - begin);
    if (from <= middle) {
      ranges.push({ begin: middle, end });
      end = middle;
    } else {
      ranges.push({ begin, end: middle });
      begin = middle;
      whole = false;
    }
  }
  if (!whole) ranges.push({ begin, end });
  return ranges.reverse();
}
