// The values that a step of the path shows.

import { siblingSides } from '../../core/proof.ts';
import { formatCount } from '../parts/units.ts';

/** A value with its name; `bytes` are shown in a fixed-width font, one item a line; `text` keeps its lines. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly form: 'plain' | 'bytes' | 'text';
}

export const plain = (name: string, value: string): Fact => ({ name, value, form: 'plain' });
export const bytes = (name: string, value: string): Fact => ({ name, value, form: 'bytes' });
export const text = (name: string, value: string): Fact => ({ name, value, form: 'text' });

/** The leaf's position and the sibling hashes on its path, from the leaf up. */
export function inclusionFacts(index: number, size: number, path: readonly string[]): Fact[] {
  const sides = siblingSides(index, size) ?? [];
  return [
    plain('Leaf', `${formatCount(index)} of ${formatCount(size)}, counted from 0`),
    ...(path.length === 0
      ? []
      : [bytes('Hashes on the path', path.map((hash, i) => `${hash} on the ${sides[i] ?? '?'}`).join('\n'))]),
  ];
}
