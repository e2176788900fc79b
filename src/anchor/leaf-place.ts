import { equalBytes } from '../core/bytes.ts';
import type { MerkleTree } from '../core/merkle.ts';
import type { Queryable } from '../store/database.ts';
import { markOf } from './leaf-marks.ts';
import type { RoundTrees } from './roundtrees.ts';

export interface LeafPlace {
  readonly round: number;
  readonly index: number;
}

/**
 * Where a leaf is, by its hash: in a round, among the digests that wait for one, or nowhere. Leaves of logs are found once
 * they are marked.
 * @param leafHash 32 bytes
 * @throws AntequemError `round-damaged`
 */
export async function leafPlace(
  database: Queryable,
  trees: RoundTrees,
  leafHash: Uint8Array,
): Promise<'unknown' | 'waiting' | LeafPlace> {
  const { rows } = await database.query<{ round: number }>({
    name: 'rounds-by-leaf-mark',
    text: 'SELECT round FROM leaf_marks WHERE mark = $1 ORDER BY round LIMIT 8',
    values: [markOf(leafHash)],
  });
  for (const { round } of rows) {
    const index = indexIn((await trees.read(round)).tree, leafHash);
    if (index !== null) return { round, index };
  }
  const waiting = await database.query({
    name: 'digest-by-leaf-hash',
    text: `SELECT FROM digests WHERE sha256('\\x0082'::bytea || commitment) = $1 LIMIT 1`,
    values: [Buffer.from(leafHash)],
  });
  return waiting.rowCount === 0 ? 'unknown' : 'waiting';
}

function indexIn(tree: MerkleTree, leafHash: Uint8Array): number | null {
  for (let index = 0; index < tree.size; index++) {
    if (equalBytes(tree.node({ level: 0, index }), leafHash)) return index;
  }
  return null;
}
