import type { Queryable } from '../store/database.ts';

/**
 * Where a leaf is, by its hash: in a round, among the digests that wait for one, or nowhere.
 * @param leafHash 32 bytes
 */
export async function leafPlace(
  database: Queryable,
  leafHash: Uint8Array,
): Promise<'unknown' | 'waiting' | { readonly round: number; readonly index: number }> {
  const values = [Buffer.from(leafHash)];
  const { rows } = await database.query<{ round: number; index: number }>({
    name: 'leaf-by-hash',
    text: `SELECT round, index FROM round_leaves WHERE sha256('\\x00'::bytea || leaf) = $1 LIMIT 1`,
    values,
  });
  if (rows[0] !== undefined) return rows[0];
  const waiting = await database.query({
    name: 'digest-by-leaf-hash',
    text: `SELECT FROM digests WHERE sha256('\\x0082'::bytea || commitment) = $1 LIMIT 1`,
    values,
  });
  return waiting.rowCount === 0 ? 'unknown' : 'waiting';
}
