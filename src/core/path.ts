// The one form of step that leads from a digest to the root of a round: x → SHA-256(prefix ‖ x ‖ suffix).

import { sha256 } from '#sha256';
import { concat, u64 } from './bytes.ts';
import { FormatError } from './errors.ts';
import { siblingSides } from './proof.ts';

export interface Step {
  /** 0–255 bytes. */
  readonly prefix: Uint8Array;
  /** 0–255 bytes. */
  readonly suffix: Uint8Array;
}

/** Steps a path may have: those to the root of a round, and from there through the links of hundreds of later rounds. */
export const MAX_STEPS = 8_192;

const NONE = new Uint8Array(0);
const NODE = new Uint8Array([0x01]);

/** digest → commitment. */
export function nonceStep(nonce: Uint8Array): Step {
  return { prefix: NONE, suffix: nonce };
}

/** commitment → leaf hash of the entry. */
export function entryStep(receivedAt: number, previous: Uint8Array): Step {
  return { prefix: concat(new Uint8Array([0x00, 0x01]), u64(receivedAt), previous), suffix: NONE };
}

/** Last bytes of a leaf → leaf hash. @param leafPrefix the bytes before them */
export function leafStep(leafPrefix: Uint8Array): Step {
  return { prefix: concat(new Uint8Array([0x00]), leafPrefix), suffix: NONE };
}

/**
 * Leaf hash → root, along an inclusion path.
 * @throws FormatError `path-length` where the path has the wrong length
 */
export function treeSteps(index: number, treeSize: number, path: readonly Uint8Array[]): Step[] {
  const sides = siblingSides(index, treeSize);
  if (sides === null || sides.length !== path.length) {
    throw new FormatError('path-length', `leaf ${index} of ${treeSize} cannot have a path of ${path.length} hashes`);
  }
  return path.map((sibling, i) =>
    sides[i] === 'left' ? { prefix: concat(NODE, sibling), suffix: NONE } : { prefix: NODE, suffix: sibling },
  );
}

/** Where a path leads from `start`. */
export function walkPath(start: Uint8Array, steps: readonly Step[]): Uint8Array {
  let x = start;
  for (const step of steps) x = sha256(concat(step.prefix, x, step.suffix));
  return x;
}

/** For each step `u8 length ‖ prefix ‖ u8 length ‖ suffix`: what the contract's `existedBefore` takes. */
export function packPath(steps: readonly Step[]): Uint8Array {
  if (steps.length > MAX_STEPS) throw new FormatError('path-length', `a path of more than ${MAX_STEPS} steps`);
  return concat(...steps.flatMap((step) => [field(step.prefix), field(step.suffix)]));
}

/** @throws FormatError `path-length`, `path-cut` */
export function unpackPath(packed: Uint8Array): Step[] {
  const steps: Step[] = [];
  let offset = 0;
  const take = (): Uint8Array => {
    const length = packed[offset];
    if (length === undefined || offset + 1 + length > packed.length) {
      throw new FormatError('path-cut', 'a packed path is cut short');
    }
    offset += 1 + length;
    return packed.slice(offset - length, offset);
  };
  while (offset < packed.length) {
    if (steps.length === MAX_STEPS) throw new FormatError('path-length', `a path of more than ${MAX_STEPS} steps`);
    steps.push({ prefix: take(), suffix: take() });
  }
  return steps;
}

function field(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 255) throw new FormatError('path-length', 'a prefix or suffix of more than 255 bytes');
  return concat(new Uint8Array([bytes.length]), bytes);
}
