// Checking the proofs of RFC 9162: sections 2.1.3.2 (inclusion) and 2.1.4.2 (consistency).
// Sizes pass 2^32, so they are halved by division: JavaScript's shifts would cut them.

import { equalBytes } from './bytes.ts';
import { EMPTY_ROOT, HASH_SIZE, hashNode } from './merkle.ts';

const half = (n: number): number => Math.floor(n / 2);
const odd = (n: number): boolean => n % 2 === 1;
const size = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;

/**
 * On which side of the growing hash each hash of an inclusion path stands, from the leaf up.
 * Null where there is no such leaf.
 */
export function siblingSides(index: number, treeSize: number): ('left' | 'right')[] | null {
  if (!size(index) || !size(treeSize) || index >= treeSize) return null;
  const sides: ('left' | 'right')[] = [];
  let node = index;
  let last = treeSize - 1;
  while (last > 0) {
    if (odd(node)) sides.push('left');
    else if (node !== last) sides.push('right');
    node = half(node);
    last = half(last);
  }
  return sides;
}

/** The root that an inclusion path leads to; null where the path has the wrong length. */
export function rootFromInclusion(
  leafHash: Uint8Array,
  index: number,
  treeSize: number,
  path: readonly Uint8Array[],
): Uint8Array | null {
  const sides = siblingSides(index, treeSize);
  if (sides === null || sides.length !== path.length || leafHash.length !== HASH_SIZE) return null;
  let hash = leafHash;
  for (const [i, sibling] of path.entries()) {
    if (sibling.length !== HASH_SIZE) return null;
    hash = sides[i] === 'left' ? hashNode(sibling, hash) : hashNode(hash, sibling);
  }
  return hash;
}

/** Whether `leafHash` is at `index` of the tree of `treeSize` leaves with this root. */
export function verifyInclusion(
  leafHash: Uint8Array,
  index: number,
  treeSize: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  const computed = rootFromInclusion(leafHash, index, treeSize, path);
  return computed !== null && equalBytes(computed, root);
}

/** Whether the tree of `to` leaves begins with the tree of `from` leaves. The empty tree begins every tree. */
export function verifyConsistency(
  from: number,
  to: number,
  path: readonly Uint8Array[],
  fromRoot: Uint8Array,
  toRoot: Uint8Array,
): boolean {
  if (from === 0 && size(to) && to > 0) return path.length === 0 && equalBytes(fromRoot, EMPTY_ROOT);
  const computed = rootFromConsistency(from, to, path, fromRoot);
  return computed !== null && equalBytes(computed, toRoot);
}

/**
 * The root of the tree of `to` leaves that a proof leads to from the one of `from` leaves, at least one; null where the proof
 * does not begin with that one, or has the wrong length.
 */
export function rootFromConsistency(
  from: number,
  to: number,
  path: readonly Uint8Array[],
  fromRoot: Uint8Array,
): Uint8Array | null {
  if (!size(from) || !size(to) || from > to || path.some((hash) => hash.length !== HASH_SIZE)) return null;
  if (from === to) return path.length === 0 ? fromRoot : null;
  if (from === 0) return null;

  let node = from - 1;
  let last = to - 1;
  while (odd(node)) {
    node = half(node);
    last = half(last);
  }
  const hashes = [...path];
  // Where the old tree is one perfect subtree, its root is not repeated in the path.
  const start = node === 0 ? fromRoot : hashes.shift();
  if (start === undefined) return null;
  let older = start;
  let newer = start;
  for (const hash of hashes) {
    if (last === 0) return null;
    if (odd(node) || node === last) {
      older = hashNode(hash, older);
      newer = hashNode(hash, newer);
      while (!odd(node) && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      newer = hashNode(newer, hash);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && equalBytes(older, fromRoot) ? newer : null;
}
