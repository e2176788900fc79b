import { concat } from '../core/bytes.ts';
import { CompactRange } from '../core/compact-range.ts';
import { AntequemError } from '../core/errors.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { Queryable } from '../store/database.ts';
import type { PartitionMap } from './partition-map.ts';

/** The hashes of a log's partial tile on `level` in its first `size` entries, one after the other. */
export async function partialTile(
  db: Queryable,
  partitions: PartitionMap,
  log: number,
  level: number,
  size: number,
): Promise<Uint8Array> {
  const nodes = Math.floor(size / TILE_WIDTH ** level);
  const first = nodes - (nodes % TILE_WIDTH);
  return level === 0 ? leafHashes(db, partitions, log, first, nodes) : tileRoots(db, log, level - 1, first, nodes);
}

/** The leaf hashes of entries [begin, end), which lie in one tile. */
export async function leafHashes(
  db: Queryable,
  partitions: PartitionMap,
  log: number,
  begin: number,
  end: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  // The first partitions are shorter than a tile, so a tile may lie in three of them.
  for (const run of await segmentRuns(db, partitions, log, begin, end)) {
    const { rows } = await db.query<{ hashes: Uint8Array | null }>({
      text: `SELECT string_agg(leaf_hash, '' ORDER BY index) AS hashes FROM entries
             WHERE segment = $1 AND log = $2 AND index >= $3 AND index < $4`,
      values: [run.segment, log, run.begin, run.end],
    });
    parts.push(rows[0]?.hashes ?? new Uint8Array(0));
  }
  const hashes = concat(...parts);
  if (hashes.length !== (end - begin) * HASH_SIZE) {
    throw new AntequemError('log-damaged', `log ${log} lacks entries between ${begin} and ${end}: run an audit`);
  }
  return hashes;
}

/** The roots of the complete tiles [begin, end) of a level. */
async function tileRoots(db: Queryable, log: number, level: number, begin: number, end: number): Promise<Uint8Array> {
  const { rows } = await db.query<{ hashes: Uint8Array | null }>(
    `SELECT string_agg(root, '' ORDER BY index) AS hashes FROM tiles
     WHERE log = $1 AND level = $2 AND index >= $3 AND index < $4`,
    [log, level, begin, end],
  );
  const hashes = rows[0]?.hashes ?? new Uint8Array(0);
  if (hashes.length !== (end - begin) * HASH_SIZE) {
    throw new AntequemError('log-damaged', `log ${log} lacks tiles of level ${level} before ${end}: run an audit`);
  }
  return new Uint8Array(hashes);
}

/** The parts of [begin, end) by segment, in order. */
export async function segmentRuns(
  db: Queryable,
  partitions: PartitionMap,
  log: number,
  begin: number,
  end: number,
): Promise<{ segment: number; begin: number; end: number }[]> {
  const runs: { segment: number; begin: number; end: number }[] = [];
  let at = begin;
  while (at < end) {
    const { range, segment } = await partitions.locate(db, log, at);
    const last = runs.at(-1);
    const to = Math.min(end, range.end);
    if (last !== undefined && last.segment === segment) runs[runs.length - 1] = { ...last, end: to };
    else runs.push({ segment, begin: at, end: to });
    at = to;
  }
  return runs;
}

/** The compact range of a log at `size`, read from the database. */
export async function readCompactRange(
  db: Queryable,
  partitions: PartitionMap,
  log: number,
  size: number,
): Promise<CompactRange> {
  const partials: Uint8Array[] = [];
  for (let level = 0; TILE_WIDTH ** level <= size; level++) {
    partials.push(await partialTile(db, partitions, log, level, size));
  }
  return CompactRange.restore(size, partials);
}
