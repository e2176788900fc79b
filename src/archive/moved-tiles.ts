// Has the leaf hashes of old tiles leave the database once the public archive has them.

import { tileOfLog } from '../audit/remote/layout.ts';
import { AntequemError } from '../core/errors.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { lastOfTile } from '../log/blocks/head.ts';
import { type Database, transaction } from '../store/database.ts';
import { isTile } from './archived-tiles.ts';
import { inTurn } from './in-turn.ts';
import type { MovingOptions } from './moved-blocks.ts';
import { each } from './published-logs.ts';

/** Tiles that are moved in one step. */
const STEP_TILES = 64;

/** The time of the newest entry of tile `index` of log `log`, as SQL. */
const newestTime = (log: string, index: string): string => `(
  SELECT time_in_block(b, ${index} * ${TILE_WIDTH} + ${TILE_WIDTH - 1}) FROM blocks b
  WHERE b.log = ${log} AND b.first <= ${index} * ${TILE_WIDTH} + ${TILE_WIDTH - 1} ORDER BY b.first DESC LIMIT 1)`;

interface LogTiles {
  readonly id: number;
  readonly name: string;
  readonly published: number;
  readonly tiles: number;
}

interface OldTile {
  readonly index: number;
  readonly root: Uint8Array;
  readonly hashes: Uint8Array;
}

/**
 * Moves the leaf hashes of all published tiles whose entries were received before a time. Those of `_system` stay. Killed at
 * any time, it goes on where it was.
 * @param before milliseconds since the Unix epoch
 * @returns how many tiles were moved
 * @throws AntequemError `log-damaged` or `archive-conflict` for the first log with a tile that is damaged here or in the
 *   archive, once the others are done
 */
export async function moveTiles(options: Omit<MovingOptions, 'random'>, before: number): Promise<number> {
  const { rows } = await options.database.query<LogTiles>(
    `SELECT l.id, l.name, a.published, a.tiles FROM archive_logs a JOIN logs l ON l.id = a.log
     WHERE l.name <> $1 AND a.published >= (a.tiles + 1) * ${TILE_WIDTH} AND ${newestTime('l.id', 'a.tiles')} < $2
     ORDER BY l.id`,
    [SYSTEM_LOG, before],
  );
  let moved = 0;
  await inTurn(rows, ['log-damaged', 'archive-conflict'], async (log) => {
    moved += await moveLog(options, log, before);
  });
  return moved;
}

async function moveLog(options: Omit<MovingOptions, 'random'>, log: LogTiles, before: number): Promise<number> {
  let moved = 0;
  for (let from = log.tiles; !options.signal.aborted; ) {
    const tiles = await oldTiles(options.database, log, from, before);
    const last = tiles.at(-1);
    if (last === undefined) break;
    moved += await moveStep(options, log, tiles);
    from = last.index + 1;
  }
  return moved;
}

/** The next tiles to be moved, as long as they are old enough. */
async function oldTiles(database: Database, log: LogTiles, from: number, before: number): Promise<OldTile[]> {
  const { rows } = await database.query<OldTile>({
    name: 'tiles-to-archive',
    text: `SELECT index, root, hashes FROM (
             SELECT * FROM tiles WHERE log = $1 AND level = 0 AND index >= $2 AND index < $3 AND hashes IS NOT NULL
             ORDER BY index LIMIT ${STEP_TILES}) AS t
           WHERE ${newestTime('t.log', 't.index')} < $4 ORDER BY index`,
    values: [log.id, from, Math.floor(log.published / TILE_WIDTH), before],
  });
  return rows;
}

async function moveStep(
  { database, store, lock }: Pick<MovingOptions, 'database' | 'store' | 'lock'>,
  log: LogTiles,
  tiles: readonly OldTile[],
): Promise<number> {
  await each(tiles, async ({ index, root, hashes }) => {
    if (!isTile(hashes, root)) {
      throw new AntequemError('log-damaged', `tile 0/${index} of ${log.name} does not have its root: run an audit`);
    }
    // They were published already. Now the database is going to rely on it, so they are read back once more.
    await store.putNew(tileOfLog(log.name, { level: 0, index, width: TILE_WIDTH }), hashes, lock());
  });
  return transaction(database, async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE tiles SET hashes = NULL, last_leaf = ${lastOfTile('hashes')}
       WHERE log = $1 AND level = 0 AND index = ANY ($2::bigint[]) AND hashes IS NOT NULL`,
      [log.id, tiles.map(({ index }) => index)],
    );
    await tx.query('UPDATE archive_logs SET tiles = greatest(tiles, $2) WHERE log = $1', [
      log.id,
      (tiles.at(-1)?.index ?? 0) + 1,
    ]);
    return rowCount ?? 0;
  });
}
