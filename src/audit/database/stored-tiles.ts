// Reads the tiles of a log as they are stored; those that left the database out of the archive.

import { hasCode } from '../../core/errors.ts';
import { MAX_TILE_LEVEL, TILE_WIDTH } from '../../core/tiles.ts';
import type { TileArchive } from '../../log/archived-tile.ts';
import type { Log } from '../../log/log.ts';
import type { Queryable } from '../../store/database.ts';
import type { StoredTile } from '../checks/tiles.ts';

interface TileRow {
  readonly level: number;
  readonly index: number;
  readonly root: Uint8Array;
  readonly hashes: Uint8Array | null;
  readonly last_leaf: Uint8Array | null;
}

/**
 * The tiles that a log completes when it grows from `begin` to `end` entries.
 * @throws AntequemError `archive-unavailable`
 */
export async function readStoredTiles(
  db: Queryable,
  log: Pick<Log, 'id' | 'name'>,
  [begin, end]: readonly [number, number],
  archive: TileArchive | null,
): Promise<StoredTile[]> {
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
  const { rows } = await db.query<TileRow>(
    `SELECT t.level, t.index, t.root, t.hashes, t.last_leaf
     FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS r (level, first, behind)
     JOIN tiles t ON t.log = $1 AND t.level = r.level AND t.index >= r.first AND t.index < r.behind`,
    [log.id, levels, first, behind],
  );
  // One without hashes and without what stands for them counts as missing.
  const whole = rows.filter(({ level, hashes, last_leaf }) => hashes !== null || (level === 0 && last_leaf !== null));
  return Promise.all(
    whole.map(async ({ level, index, root, hashes, last_leaf: lastLeaf }) => ({
      level,
      index,
      root,
      hashes: hashes ?? (await archivedHashes(archive, { log: log.name, index, root })),
      ...(lastLeaf === null ? {} : { lastLeaf }),
    })),
  );
}

/** Null where they are not to be had: the entries make them, and the root tells whether rightly. */
async function archivedHashes(
  archive: TileArchive | null,
  tile: Parameters<TileArchive['leaves']>[0],
): Promise<Uint8Array | null> {
  if (archive === null) return null;
  try {
    return await archive.leaves(tile);
  } catch (error) {
    if (hasCode(error, 'archive-damaged')) return null;
    throw error;
  }
}
