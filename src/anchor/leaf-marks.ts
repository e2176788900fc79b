import type { Queryable } from '../store/database.ts';

/** Has leaves of a closed round be found by their hashes, 32 bytes each: before clients are given these. */
export async function markLeaves(db: Queryable, round: number, leafHashes: readonly Uint8Array[]): Promise<void> {
  if (leafHashes.length === 0) return;
  await db.query(
    'INSERT INTO leaf_marks (mark, round) SELECT mark, $1 FROM unnest($2::bigint[]) AS m (mark) ON CONFLICT DO NOTHING',
    [round, leafHashes.map(markOf)],
  );
}

/** The first eight bytes of a hash as PostgreSQL's bigint. */
export function markOf(leafHash: Uint8Array): string {
  return new DataView(leafHash.buffer, leafHash.byteOffset).getBigInt64(0).toString();
}
