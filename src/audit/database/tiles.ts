import { compareBytes, equalBytes } from '../../core/bytes.ts';
import type { CompleteTile } from '../../core/compact-range.ts';
import { MAX_TILE_LEVEL, TILE_WIDTH } from '../../core/tiles.ts';
import type { Log } from '../../log/log.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';

/** A tile as it is stored. */
export interface StoredTile {
  level: number;
  index: number;
  root: Uint8Array;
  hashes: Uint8Array;
}

/** The stored tiles that a log completes when it grows from `begin` to `end` entries. */
export async function readTiles(db: Queryable, log: number, begin: number, end: number): Promise<StoredTile[]> {
  const levels: number[] = [];
  const first: number[] = [];
  const behind: number[] = [];
  for (let level = 0; level <= MAX_TILE_LEVEL; level++) {
    const width = TILE_WIDTH ** (level + 1);
    if (Math.floor(end / width) === Math.floor(begin / width)) break;
    levels.push(level);
    first.push(Math.floor(begin / width));
    behind.push(Math.floor(end / width));
  }
  if (levels.length === 0) return [];
  const { rows } = await db.query<StoredTile>(
    `SELECT t.level, t.index, t.root, t.hashes
     FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS r (level, first, behind)
     JOIN tiles t ON t.log = $1 AND t.level = r.level AND t.index >= r.first AND t.index < r.behind`,
    [log, levels, first, behind],
  );
  return rows;
}

/** Compares tiles with what the entries make. */
export function checkTiles(
  log: Pick<Log, 'name'>,
  made: readonly CompleteTile[],
  stored: readonly StoredTile[],
  findings: Findings,
): void {
  const byPlace = new Map(stored.map((tile) => [`${tile.level}/${tile.index}`, tile]));
  for (const tile of made) {
    const place = `${tile.level}/${tile.index}`;
    const width = TILE_WIDTH ** tile.level;
    const first = tile.index * TILE_WIDTH * width;
    const found = byPlace.get(place);
    if (found === undefined) {
      findings.add('tile-missing', { log: log.name, index: first }, `tile ${place} of ${log.name} is missing`);
    } else if (compareBytes(found.hashes, tile.hashes) !== 0) {
      const index = first + differing(found.hashes, tile.hashes) * width;
      const says = `tile ${place} of ${log.name} has another hash than the entries make, the first for entry ${index}`;
      findings.add('tile-differs', { log: log.name, index }, says);
    } else if (!equalBytes(found.root, tile.root)) {
      const says = `the root of tile ${place} of ${log.name} is not that of its hashes`;
      findings.add('tile-differs', { log: log.name, index: first }, says);
    }
  }
}

/** Looks for tiles that a log of this size does not have. */
export async function checkNoTileBeyond(db: Queryable, log: Log, size: number, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ level: number; index: number }>(
    `SELECT level, index FROM tiles
     WHERE log = $1 AND (index < 0 OR index >= div($2::numeric, 256::numeric ^ (level + 1))) ORDER BY level, index LIMIT 1`,
    [log.id, size],
  );
  const [tile] = rows;
  if (tile === undefined) return;
  const says = `${log.name} has tile ${tile.level}/${tile.index}, and with ${size} entries is too short for it`;
  findings.add('log-cut-off', { log: log.name, index: size }, says);
}

/** Which of the 32-byte hashes is the first that differs. */
function differing(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at++;
  return Math.min(TILE_WIDTH - 1, Math.floor(at / 32));
}
