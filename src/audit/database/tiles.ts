import { MAX_TILE_LEVEL, TILE_WIDTH } from '../../core/tiles.ts';
import type { Log } from '../../log/log.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import type { StoredTile } from '../checks/tiles.ts';

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
