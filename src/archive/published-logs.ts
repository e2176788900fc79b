// Writes the tiles, entry bundles and checkpoints of logs to the public archive.

import { checkpointPath, tileOfLog } from '../audit/remote/layout.ts';
import { utf8 } from '../core/bytes.ts';
import { TILE_WIDTH, type tileLocation, tileWidth } from '../core/tiles.ts';
import type { EntryReader } from '../log/entries.ts';
import type { Log } from '../log/log.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Database } from '../store/database.ts';
import type { ObjectLock } from './bucket.ts';
import type { ObjectStore } from './object-stores.ts';

/** Objects that are written at the same time. */
const WRITERS = 8;

export interface LogSources {
  readonly database: Database;
  readonly store: ObjectStore;
  readonly tiles: TileStore;
  readonly entries: EntryReader;
  /** Of what is written now; null: none. */
  readonly lock: () => ObjectLock | null;
}

type Tile = Parameters<typeof tileLocation>[0];

/**
 * Brings a log in the archive to `size` entries: first all that its checkpoint commits to, then the checkpoint. What was
 * written already is compared.
 * @param note the signed checkpoint of that size
 */
export async function publishLog(sources: LogSources, log: Log, size: number, note: string): Promise<void> {
  const { database, store, lock } = sources;
  const { rows } = await database.query<{ published: number }>('SELECT published FROM archive_logs WHERE log = $1', [
    log.id,
  ]);
  const before = rows[0]?.published ?? 0;
  if (before >= size) return;
  await each(tilesBetween(before, size), async (tile) => {
    // Partial ones go again, so they are not locked.
    const complete = tile.width === TILE_WIDTH;
    await store.putNew(tileOfLog(log.name, tile), await bytesOf(sources, log, tile, size), complete ? lock() : null);
  });
  await store.putCurrent(checkpointPath(log.name), utf8(note));
  await database.query(
    `INSERT INTO archive_logs AS a (log, published) VALUES ($1, $2)
     ON CONFLICT (log) DO UPDATE SET published = greatest(a.published, excluded.published)`,
    [log.id, size],
  );
  for (const tile of partialTiles(before)) {
    const whole = { ...tile, width: TILE_WIDTH };
    if (widthIn(whole, size) === TILE_WIDTH) await removePartials(store, tileOfLog(log.name, whole));
  }
}

async function bytesOf({ tiles, entries }: LogSources, log: Log, tile: Tile, size: number): Promise<Uint8Array> {
  const { level, index, width } = tile;
  return level === 'entries' ? entries.bundle(log, index, width) : tiles.tile(log, level, index, size);
}

/** The complete tiles and bundles that a log gets as it grows, and the partial ones that it has then. */
function* tilesBetween(before: number, size: number): Generator<Tile> {
  for (let level = 0, span = TILE_WIDTH; span <= size; level++, span *= TILE_WIDTH) {
    for (let index = Math.floor(before / span); index < Math.floor(size / span); index++) {
      if (level === 0) yield { level: 'entries', index, width: TILE_WIDTH };
      yield { level, index, width: TILE_WIDTH };
    }
  }
  yield* partialTiles(size);
}

/** The tiles of a log that are not complete. */
function* partialTiles(size: number): Generator<Tile> {
  for (let level = 0, span = 1; span <= size; level++, span *= TILE_WIDTH) {
    const index = Math.floor(size / span / TILE_WIDTH);
    const width = widthIn({ level, index }, size);
    if (width === 0) continue;
    if (level === 0) yield { level: 'entries', index, width };
    yield { level, index, width };
  }
}

/** How much of a tile there is in a log of `size` entries. */
function widthIn({ level, index }: Pick<Tile, 'level' | 'index'>, size: number): number {
  return tileWidth(level === 'entries' ? 0 : level, index, size);
}

/**
 * Removes the partial ones of a tile that is complete. Until then they stay: who reads by an older checkpoint needs them, and
 * takes the complete one in their place (C2SP tlog-tiles).
 */
async function removePartials(store: ObjectStore, tile: string): Promise<void> {
  try {
    for await (const name of store.list(`${tile}.p/`)) await removePartial(store, name);
  } catch {
    // All of them stay.
  }
}

/** One that stays is in nobody's way. */
async function removePartial(store: ObjectStore, name: string): Promise<void> {
  try {
    await store.remove(name);
  } catch {
    // The others go.
  }
}

/** Works on all, some at a time. The first failure ends it. */
export async function each<T>(all: Iterable<T>, work: (one: T) => Promise<void>): Promise<void> {
  const iterator = all[Symbol.iterator]();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && !failed; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, worker));
}
