// The index of digests is a tree. A node has the digests that begin with the same bits, in rows, each of some runs: at depth 0
// those of a first byte, a row for each run; below them, each node has a sixteenth of the one above. Rows move down only,
// many at a time, so a look-up reads some rows at each depth. Whoever reads a node before those below it misses nothing.

import { PREFIX_BYTES } from './blocks/digest-record.ts';

/** Bits by which the nodes below a node differ. */
export const NODE_BITS = 4;
export const CHILDREN = 2 ** NODE_BITS;
/** Where rows do not move further down. */
export const MAX_DEPTH = 4;

const PREFIX_BITS = 8 * PREFIX_BYTES;
/** Bits of a node at depth 0. */
const TOP_BITS = 8;

/** Where digests with this prefix are at a depth. */
export function nodeOf(depth: number, prefix: number): number {
  return Math.floor(prefix / 2 ** (PREFIX_BITS - TOP_BITS - NODE_BITS * depth));
}

/** The same at all depths below 0, from the top to the bottom. */
export function nodesBelow(prefix: number): number[] {
  return Array.from({ length: MAX_DEPTH }, (_, above) => nodeOf(above + 1, prefix));
}

/** The first byte of all digests in a node. */
export function bucketOf(depth: number, node: number): number {
  return Math.floor(node / CHILDREN ** depth);
}

/** SQL of the rows at a depth, as (node, id, oldest, newest, records): `oldest` and `newest` are the runs that they are of. */
export const rowsAt = (depth: number): string =>
  depth === 0
    ? '(SELECT bucket AS node, run AS id, run AS oldest, run AS newest, records FROM digest_runs)'
    : `(SELECT node, id, oldest, newest, records FROM merged_digests WHERE depth = ${depth})`;

/** SQL of the rows `m` of the nodes that {@link nodesBelow} returned. @param nodes the parameter with them */
export const rowsBelow = (nodes: string): string =>
  `unnest(${nodes}::bigint[]) WITH ORDINALITY AS n (node, depth) JOIN merged_digests m ON m.depth = n.depth AND m.node = n.node`;
