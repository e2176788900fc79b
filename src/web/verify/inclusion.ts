// A leaf's way up its tree: in numbers, and as points of a picture.

import { siblingSides } from '../../core/proof.ts';
import { formatCount } from '../parts/units.ts';
import { bytes, type Fact, plain } from './steps.ts';

/** Size of the tree and the hashes beside the way, from the leaf up. */
export function inclusionFacts(index: number, size: number, path: readonly string[]): Fact[] {
  const sides = siblingSides(index, size) ?? [];
  return [
    plain('Leaf', `${formatCount(index)} of ${formatCount(size)}, counted from 0`),
    ...(path.length === 0
      ? []
      : [bytes('Hashes on the way', path.map((hash, i) => `${hash} on the ${sides[i] ?? '?'}`).join('\n'))]),
  ];
}

/** A node on the way, and the one beside it (null at the root); x from 0 to 1. */
export interface WayPoint {
  readonly x: number;
  readonly sibling: number | null;
}

/** From the leaf to the root, at most 54 points (RFC 9162 section 2.1.1 splits at the largest power of two below). */
export function wayUp(index: number, size: number): WayPoint[] {
  const way: WayPoint[] = [];
  let [low, high] = [0, size];
  let sibling: number | null = null;
  const middle = (from: number, to: number): number => (from + to) / 2 / size;
  for (;;) {
    way.unshift({ x: middle(low, high), sibling });
    if (high - low <= 1) return way;
    let split = 1;
    while (split * 2 < high - low) split *= 2;
    const right = index >= low + split;
    sibling = right ? middle(low, low + split) : middle(low + split, high);
    [low, high] = right ? [low + split, high] : [low, low + split];
  }
}
