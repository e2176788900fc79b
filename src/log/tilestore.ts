import { AntequemError } from '../core/errors.ts';
import { foldRight, type Node, perfectNodes, type Range } from '../core/merkle.ts';
import { nodeFromTile, TILE_WIDTH, type TileSlice, tileOfNode } from '../core/tiles.ts';
import type { Queryable } from '../store/database.ts';
import { partialTile } from './head.ts';
import type { Log } from './log.ts';
import type { Stretches } from './stretch.ts';

const CACHED_TILES = 2_048;

type NamedLog = Pick<Log, 'id' | 'name'>;

/** The tiles of all logs, complete ones remembered: 8 kB each, 16 MB in all. */
export class TileStore {
  readonly #database: Queryable;
  readonly #stretches: Stretches;
  readonly #cache = new Map<string, Uint8Array>();

  constructor(database: Queryable, stretches: Stretches) {
    this.#database = database;
    this.#stretches = stretches;
  }

  /** A complete tile, null where it is not complete yet. */
  async complete(log: NamedLog, level: number, index: number): Promise<Uint8Array | null> {
    const key = `${log.id}/${level}/${index}`;
    const cached = this.#cache.get(key);
    if (cached !== undefined) {
      // Back to the young end: the map keeps insertion order, and the oldest goes first.
      this.#cache.delete(key);
      this.#cache.set(key, cached);
      return cached;
    }
    const { rows } = await this.#database.query<{ hashes: Uint8Array }>({
      name: 'read-tile',
      text: 'SELECT hashes FROM tiles WHERE log = $1 AND level = $2 AND index = $3',
      values: [log.id, level, index],
    });
    const row = rows[0];
    if (row === undefined) return null;
    const hashes = new Uint8Array(row.hashes);
    this.#cache.set(key, hashes);
    if (this.#cache.size > CACHED_TILES)
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    return hashes;
  }

  /** The hashes of a tile in the log's first `size` entries: 256, or as many as there are. */
  async tile(log: NamedLog, level: number, index: number, size: number): Promise<Uint8Array> {
    const complete = await this.complete(log, level, index);
    if (complete !== null) return complete;
    if (index !== Math.floor(Math.floor(size / TILE_WIDTH ** level) / TILE_WIDTH)) {
      throw new AntequemError('log-damaged', `log ${log.name} lacks tile ${level}/${index}: run an audit`);
    }
    return partialTile(this.#database, this.#stretches, log.id, level, size);
  }

  /** The roots of these ranges of the log's first `size` entries: what proofs are made of. */
  async ranges(log: NamedLog, ranges: readonly Range[], size: number): Promise<Uint8Array[]> {
    const nodes = ranges.map(perfectNodes);
    const tiles = new Map<string, Promise<Uint8Array>>();
    const tileOf = (slice: TileSlice): Promise<Uint8Array> => {
      const key = `${slice.level}/${slice.index}`;
      const tile = tiles.get(key) ?? this.tile(log, slice.level, slice.index, size);
      tiles.set(key, tile);
      return tile;
    };
    const hash = async (node: Node): Promise<Uint8Array> => {
      const slice = tileOfNode(node);
      return nodeFromTile(await tileOf(slice), slice);
    };
    return Promise.all(nodes.map(async (parts) => foldRight(await Promise.all(parts.map(hash)))));
  }
}
