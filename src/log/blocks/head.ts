import { CompactRange } from '../../core/compact-range.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { Queryable } from '../../store/database.ts';
import { damaged } from './open-block.ts';

/** The hashes of a log's partial tile on `level` in its first `size` entries, one after the other. */
export async function partialTile(db: Queryable, log: number, level: number, size: number): Promise<Uint8Array> {
  const nodes = Math.floor(size / TILE_WIDTH ** level);
  const first = nodes - (nodes % TILE_WIDTH);
  return level === 0 ? leafHashes(db, log, first, nodes) : tileRoots(db, log, level - 1, first, nodes);
}

/** The leaf hashes of entries [begin, end), which lie in one tile. @throws AntequemError `log-damaged` */
export async function leafHashes(db: Queryable, log: number, begin: number, end: number): Promise<Uint8Array> {
  if (begin === end) return new Uint8Array(0);
  const tile = Math.floor(begin / TILE_WIDTH);
  const { rows } = await db.query<{ hashes: Uint8Array | null }>({
    name: 'leaf-hashes',
    text: `SELECT coalesce(
             (SELECT hashes FROM tiles WHERE log = $1 AND level = 0 AND index = $2),
             (SELECT string_agg(leaves, '' ORDER BY first) FROM blocks WHERE log = $1 AND first >= $3 AND first < $4)) AS hashes`,
    values: [log, tile, tile * TILE_WIDTH, end],
  });
  const from = HASH_SIZE * (begin - tile * TILE_WIDTH);
  const hashes = rows[0]?.hashes?.subarray(from, from + HASH_SIZE * (end - begin));
  if (hashes?.length !== HASH_SIZE * (end - begin)) throw damaged(log, `entries between ${begin} and ${end}`);
  return new Uint8Array(hashes);
}

/** The last of the hashes of a complete tile, as SQL. */
export const lastOfTile = (hashes: string): string => `substring(${hashes} FROM ${HASH_SIZE * (TILE_WIDTH - 1) + 1})`;

/** The leaf hash before the entry that begins a tile: the log id before the first. @throws AntequemError `log-damaged` */
export async function leafBefore(db: Queryable, log: number, begin: number): Promise<Uint8Array> {
  const { rows } = await db.query<{ leaf: Uint8Array }>({
    name: 'leaf-before',
    text: `SELECT log_id AS leaf FROM logs WHERE id = $1 AND $2 < 0
           UNION ALL SELECT coalesce(last_leaf, ${lastOfTile('hashes')})
                     FROM tiles WHERE log = $1 AND level = 0 AND index = $2`,
    values: [log, begin / TILE_WIDTH - 1],
  });
  const leaf = rows[0]?.leaf;
  if (leaf?.length !== HASH_SIZE) throw damaged(log, `a tile before entry ${begin}`);
  return new Uint8Array(leaf);
}

/** The roots of the complete tiles [begin, end) of a level. */
async function tileRoots(db: Queryable, log: number, level: number, begin: number, end: number): Promise<Uint8Array> {
  const { rows } = await db.query<{ hashes: Uint8Array | null }>(
    `SELECT string_agg(root, '' ORDER BY index) AS hashes FROM tiles
     WHERE log = $1 AND level = $2 AND index >= $3 AND index < $4`,
    [log, level, begin, end],
  );
  const hashes = rows[0]?.hashes ?? new Uint8Array(0);
  if (hashes.length !== (end - begin) * HASH_SIZE) throw damaged(log, `tiles of level ${level} before ${end}`);
  return new Uint8Array(hashes);
}

/** The compact range of a log at `size`, read from the database. */
export async function readCompactRange(db: Queryable, log: number, size: number): Promise<CompactRange> {
  const partials: Uint8Array[] = [];
  for (let level = 0; TILE_WIDTH ** level <= size; level++) partials.push(await partialTile(db, log, level, size));
  return CompactRange.restore(size, partials);
}
