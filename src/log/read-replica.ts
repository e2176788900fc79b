// Tiles, entry bundles and checkpoints from a streaming replica, which may lag behind.

import { AntequemError } from '../core/errors.ts';
import type { Queryable } from '../store/database.ts';
import { type Archives, NO_ARCHIVES } from './archived-tile.ts';
import { EntryReader } from './entries.ts';
import type { Log } from './log.ts';
import type { Published } from './publish.ts';
import { TileStore } from './tilestore.ts';

/** Milliseconds that a replica is left alone after it failed. */
const REST_MS = 5_000;

/** What serves tiles and entry bundles. */
export interface TileSource {
  readonly tiles: TileStore;
  readonly entries: EntryReader;
}

/**
 * Reads from a replica what it has. Tiles and bundles never change once a checkpoint covers them, so that a replica with such
 * a checkpoint has them as the primary has. A server that follows no primary any more is not asked: it may have another past.
 */
export class ReadReplica {
  readonly #database: Queryable;
  readonly #source: TileSource;
  readonly #now: () => number;
  #restsUntil = Number.NEGATIVE_INFINITY;

  /**
   * @param now milliseconds of a monotonic clock
   * @param archives where what left the database is read from
   */
  constructor(database: Queryable, now: () => number, archives: Archives = NO_ARCHIVES) {
    this.#database = database;
    const tiles = new TileStore(database, archives);
    this.#source = { tiles, entries: new EntryReader(database, archives.blocks, tiles) };
    this.#now = now;
  }

  /** What `read` makes of the replica; null where that lacks a checkpoint of so many entries, or fails. */
  async read<T>(log: Log, size: number, read: (source: TileSource) => Promise<T>): Promise<T | null> {
    return this.#attempt(async () => ((await this.#newest(log, size)) === null ? null : read(this.#source)));
  }

  /** The newest checkpoint that it has, if it covers so many entries; null otherwise. */
  async checkpoint(log: Log, least: number): Promise<Published | null> {
    return this.#attempt(() => this.#newest(log, least));
  }

  async #newest(log: Log, least: number): Promise<Published | null> {
    const { rows } = await this.#database.query<{ size: number; root: Uint8Array; note: string }>({
      name: 'replica-checkpoint',
      text: `SELECT c.size, c.root, c.note FROM checkpoints c JOIN logs l ON l.id = c.log
             WHERE c.log = $1 AND l.origin = $2 AND c.size >= $3 AND pg_is_in_recovery()
             ORDER BY c.size DESC LIMIT 1`,
      values: [log.id, log.origin, least],
    });
    const [row] = rows;
    return row === undefined ? null : { ...row, origin: log.origin, root: new Uint8Array(row.root) };
  }

  /** What fails here is answered by the primary. */
  async #attempt<T>(ask: () => Promise<T | null>): Promise<T | null> {
    if (this.#now() < this.#restsUntil) return null;
    try {
      return await ask();
    } catch (error) {
      // It is not the replica that failed.
      if (error instanceof AntequemError && error.code.startsWith('archive-')) return null;
      this.#restsUntil = this.#now() + REST_MS;
      return null;
    }
  }
}
