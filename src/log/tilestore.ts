import { AntequemError } from '../core/errors.ts';
import { LruCache, type SharedLimit } from '../core/lru.ts';
import { foldRight, HASH_SIZE, MerkleTree, type Node, perfectNodes, type Range } from '../core/merkle.ts';
import { TILE_WIDTH, type TileSlice, tileOfNode, tileWidth } from '../core/tiles.ts';
import { Batch, inOrder } from '../store/batch.ts';
import type { Queryable } from '../store/database.ts';
import { archivedLeaves } from './archived-leaves.ts';
import { type Archives, NO_ARCHIVES } from './archived-tile.ts';
import { partialTile } from './blocks/head.ts';
import type { Log } from './log.ts';

/** Bytes of remembered tiles: 8 kB each, and twice as much for the subtrees in them. */
const CACHED_BYTES = 24 << 20;
/** Of a tile, what its arrays and objects take beside their bytes. */
const BESIDE_BYTES = 2_000;
/** Remembered roots of ranges at the right edge, which all proofs of a size share. */
const CACHED_ROOTS = 20_000;
type NamedLog = Pick<Log, 'id' | 'name'>;

interface TileKey {
  readonly log: number;
  readonly level: number;
  readonly index: number;
}

/** The tiles of all logs; recently used ones are remembered. When a tile grows, its first hashes stay the same. */
export class TileStore {
  readonly #database: Queryable;
  readonly #archives: Archives;
  readonly #tiles: LruCache<string, Tile>;
  readonly #roots = new LruCache<string, Uint8Array>(CACHED_ROOTS);
  readonly #stored: Batch<TileKey, StoredTile | null>;
  /** Reads under way, so that a tile is read once for all callers. */
  readonly #reads = new Map<string, Promise<Tile>>();

  /**
   * @param archives where tiles are read that left the database, or what they are made of
   * @param bytes that may be remembered, alone or with others
   */
  constructor(database: Queryable, archives: Archives = NO_ARCHIVES, bytes: number | SharedLimit = CACHED_BYTES) {
    this.#database = database;
    this.#archives = archives;
    this.#tiles = new LruCache(bytes);
    this.#stored = new Batch((keys) => readTiles(database, keys));
  }

  /** The hashes of a tile in the log's first `size` entries: 256, or as many as there are. */
  async tile(log: NamedLog, level: number, index: number, size: number): Promise<Uint8Array> {
    const { hashes } = await this.#read(log, level, index, size);
    return hashes.subarray(0, tileWidth(level, index, size) * HASH_SIZE);
  }

  /** The hashes of a complete tile of leaf hashes. @param log its number in the database */
  async leaves(log: number, index: number): Promise<Uint8Array> {
    return (await this.#read({ id: log, name: String(log) }, 0, index, (index + 1) * TILE_WIDTH)).hashes;
  }

  /** Whether this complete tile of leaf hashes is remembered. */
  hasLeaves(log: number, index: number): boolean {
    return this.#tiles.get(keyOf(log, 0, index))?.hashes.length === TILE_WIDTH * HASH_SIZE;
  }

  /** Remembers a complete tile of leaf hashes that was read with something else. */
  keepLeaves(log: number, index: number, hashes: Uint8Array): void {
    // A row that was read is a view of what came with it, 64 kB.
    this.#keep(keyOf(log, 0, index), new Tile(new Uint8Array(hashes)));
  }

  #keep(key: string, tile: Tile): void {
    this.#tiles.set(key, tile, 3 * tile.hashes.length + BESIDE_BYTES);
  }

  /** The roots of these ranges of the log's first `size` entries, as proofs need them. */
  ranges(log: NamedLog, ranges: readonly Range[], size: number): Promise<Uint8Array[]> {
    return Promise.all(ranges.map((range) => this.#root(log, range, size)));
  }

  async #root(log: NamedLog, range: Range, size: number): Promise<Uint8Array> {
    const nodes = perfectNodes(range);
    const [first] = nodes;
    if (nodes.length === 1 && first !== undefined) return this.#node(log, first, size);
    const key = `${log.id}/${range.begin}-${range.end}`;
    const known = this.#roots.get(key);
    if (known !== undefined) return known;
    const root = foldRight(await Promise.all(nodes.map((node) => this.#node(log, node, size))));
    this.#roots.set(key, root);
    return root;
  }

  async #node(log: NamedLog, node: Node, size: number): Promise<Uint8Array> {
    const slice = tileOfNode(node);
    return (await this.#read(log, slice.level, slice.index, size)).node(slice);
  }

  /** A tile with at least the hashes of the log's first `size` entries. */
  async #read(log: NamedLog, level: number, index: number, size: number): Promise<Tile> {
    const key = keyOf(log.id, level, index);
    const width = tileWidth(level, index, size);
    const known = this.#tiles.get(key);
    if (known !== undefined && known.hashes.length >= width * HASH_SIZE) return known;
    const reading = `${key}.p/${width}`;
    const underWay = this.#reads.get(reading);
    if (underWay !== undefined) return underWay;
    const read = this.#fetch(log, { log: log.id, level, index }, size).finally(() => this.#reads.delete(reading));
    this.#reads.set(reading, read);
    const tile = await read;
    this.#keep(key, tile);
    return tile;
  }

  async #fetch(log: NamedLog, key: TileKey, size: number): Promise<Tile> {
    const { level, index } = key;
    const stored = await this.#stored.get(key);
    if (stored === null && index !== Math.floor(size / TILE_WIDTH ** (level + 1))) {
      throw new AntequemError('log-damaged', `log ${log.name} lacks tile ${level}/${index}: run an audit`);
    }
    if (stored === null) return new Tile(await partialTile(this.#database, log.id, level, size));
    if (stored.hashes !== null) return new Tile(new Uint8Array(stored.hashes));
    const archived = { id: log.id, log: stored.log, index, root: new Uint8Array(stored.root) };
    return new Tile(await archivedLeaves(this.#database, this.#archives, archived));
  }
}

function keyOf(log: number, level: number, index: number): string {
  return `${log}/${level}/${index}`;
}

/** The hashes of a tile and the perfect subtrees above them. */
class Tile {
  readonly hashes: Uint8Array;
  #tree: MerkleTree | null = null;

  constructor(hashes: Uint8Array) {
    this.hashes = hashes;
  }

  node({ offset, hashes }: TileSlice): Uint8Array {
    this.#tree ??= new MerkleTree(this.hashes);
    return this.#tree.node({ level: Math.log2(hashes), index: offset / hashes });
  }
}

type StoredTile =
  | { readonly hashes: Uint8Array }
  /** Of a tile in the archive. */
  | { readonly hashes: null; readonly root: Uint8Array; readonly log: string };

/** Complete tiles, null where one is not complete yet. */
async function readTiles(database: Queryable, keys: readonly TileKey[]): Promise<(StoredTile | null)[]> {
  const { rows } = await database.query<StoredTile & { n: number }>({
    name: 'read-tiles',
    text: `SELECT q.n::int, t.hashes, CASE WHEN t.hashes IS NULL THEN t.root END AS root,
                  CASE WHEN t.hashes IS NULL THEN (SELECT name FROM logs WHERE id = t.log) END AS log
           FROM unnest($1::int[], $2::int[], $3::bigint[]) WITH ORDINALITY AS q (log, level, index, n)
           JOIN tiles t ON t.log = q.log AND t.level = q.level AND t.index = q.index`,
    values: [keys.map(({ log }) => log), keys.map(({ level }) => level), keys.map(({ index }) => index)],
  });
  return inOrder(rows, keys.length, (row) => row);
}
