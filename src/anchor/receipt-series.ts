// Receipts of many entries of a log at a time: what the entries of a round and of a tile share is looked up, and written,
// once for all of them.

import { toHex, utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { HASH_SIZE, inclusionRanges, MerkleTree } from '../core/merkle.ts';
import { type Anchor, RECEIPT_FORMAT, type RoundReceipt } from '../core/receipt.ts';
import { TILE_HEIGHT, TILE_WIDTH, tileWidth } from '../core/tiles.ts';
import type { Log } from '../log/log.ts';
import type { StoredEntry } from '../log/open-block.ts';
import type { Published } from '../log/publish.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Queryable } from '../store/database.ts';
import type { Covering } from './receipt-parts.ts';
import { checkpointGone, readCovering, receiptEntry, receiptRound } from './receipts.ts';
import type { RoundTrees } from './roundtrees.ts';

export interface ReceiptSeriesSources {
  readonly database: Queryable;
  readonly tiles: TileStore;
  readonly trees: RoundTrees;
  readonly anchors: (round: number) => Promise<Anchor[]>;
  /** As of `Receipts`. */
  readonly storedPath?: (round: number) => Promise<RoundReceipt['storedPath']>;
  /** The checkpoint that was signed at exactly this size; null: none was. */
  readonly checkpoint: (log: Log, size: number) => Promise<Published | null>;
}

/** What the receipts of some entries have in common. */
interface Shared {
  readonly treeSize: number;
  /** The members behind the inclusion proof, as the bytes of JSON text. */
  readonly rest: Uint8Array;
}

/** The hashes of a tile in hex, and the path from its root on. */
interface HexTile {
  /** Of a complete tile each level below its root, of another one its leaves alone. */
  readonly levels: readonly (readonly string[])[];
  /** From the root of a complete tile to that of the tree; null: the tile is not complete. */
  readonly above: readonly string[] | null;
}

/** What is known of the entries from `begin` on, up to the size that the round covers. */
interface KnownCovering {
  readonly log: number;
  readonly begin: number;
  readonly covering: Covering;
}

/** A receipt as JSON text in two parts: what is its own, and what it shares with others. */
export interface ReceiptText {
  readonly own: string;
  readonly shared: Uint8Array;
}

export class ReceiptSeries {
  readonly #sources: ReceiptSeriesSources;
  /** Of the round that was used last: the next entries mostly lie in it as well. */
  #known: KnownCovering | null = null;
  #shared: { readonly covering: Covering; readonly anchors: readonly Anchor[]; readonly shared: Shared } | null = null;

  constructor(sources: ReceiptSeriesSources) {
    this.#sources = sources;
  }

  /**
   * The receipts of these entries, as `Receipts.compose` makes them; null for one that was erased.
   * @param entries in the order of the log
   * @param checkpoint what entries that no round covers yet are proven by
   * @returns null where such an entry lies beyond that checkpoint; the sizes of checkpoints that are to be signed before
   */
  async texts(
    log: Log,
    entries: readonly StoredEntry[],
    checkpoint: Published | null,
  ): Promise<(ReceiptText | null)[] | { readonly unsigned: number[] } | null> {
    const coverings = await this.#coverings(log, entries);
    const missing = entries.some(({ index }, i) => coverings[i] === null && index >= (checkpoint?.size ?? 0));
    if (missing) return null;
    const unsigned = await this.#unsigned(log, coverings);
    if (unsigned.length > 0) return { unsigned };
    const shared = new Map<number | null, Promise<Shared>>();
    const tiles = new Map<string, Promise<HexTile>>();
    return Promise.all(
      entries.map(async (entry, i) => {
        if (entry.secret === null) return null;
        const covering = coverings[i] ?? null;
        const { treeSize, rest } = await once(shared, covering?.round ?? null, () =>
          covering === null ? upTo(checkpoint) : this.#covered(log, covering),
        );
        const number = Math.floor(entry.index / TILE_WIDTH);
        const tile = await once(tiles, `${number}/${treeSize}`, () => this.#tile(log, number, treeSize));
        const path = pathIn(tile, entry.index) ?? (await this.#path(log, entry.index, treeSize));
        const previous =
          tile.levels[0]?.[(entry.index % TILE_WIDTH) - 1] ?? (await this.#before(log, entry.index, treeSize));
        const head = JSON.stringify({
          format: RECEIPT_FORMAT,
          entry: receiptEntry(log, entry, entry.secret, previous),
        });
        // Hex needs no escapes.
        const own = `${head.slice(0, -1)},"inclusion":{"treeSize":${treeSize},"path":[${path.length === 0 ? '' : `"${path.join('","')}"`}]},`;
        return { own, shared: rest };
      }),
    );
  }

  /** Of each entry the first round that covers it. Where the first and the last share theirs, so do those between. */
  async #coverings(log: Log, entries: readonly StoredEntry[]): Promise<(Covering | null)[]> {
    const { database } = this.#sources;
    const [from, to] = [entries[0], entries.at(-1)];
    if (from === undefined || to === undefined) return [];
    const known = this.#known;
    if (known?.log === log.id && known.begin <= from.index && to.index < known.covering.size) {
      return entries.map(() => known.covering);
    }
    const at = ({ index }: StoredEntry): { log: number; index: number } => ({ log: log.id, index });
    const [first = null, last = null] = await readCovering(database, [at(from), at(to)]);
    const coverings =
      first?.round === last?.round ? entries.map(() => first) : await readCovering(database, entries.map(at));
    if (last !== null) this.#known = { log: log.id, begin: to.index, covering: last };
    return coverings;
  }

  async #unsigned(log: Log, coverings: readonly (Covering | null)[]): Promise<number[]> {
    const sizes = [...new Set(coverings.flatMap((each) => (each === null ? [] : [each.size])))];
    const signed = await Promise.all(sizes.map((size) => this.#sources.checkpoint(log, size)));
    return sizes.filter((_, i) => signed[i] === null);
  }

  async #covered(log: Log, covering: Covering): Promise<Shared> {
    const { round: number, index, size } = covering;
    const { trees, checkpoint } = this.#sources;
    const anchors = await this.#sources.anchors(number);
    // The same list as before: nothing about the round has changed since.
    if (this.#shared?.covering === covering && this.#shared.anchors === anchors) return this.#shared.shared;
    const [signed, { round, tree }, storedPath] = await Promise.all([
      checkpoint(log, size),
      trees.read(number),
      this.#sources.storedPath?.(number),
    ]);
    if (signed === null) throw checkpointGone(log, size);
    const rest = {
      checkpoint: signed.note,
      round: receiptRound(round, tree, index),
      anchors,
      ...(storedPath === undefined ? {} : { storedPath }),
    };
    const shared = { treeSize: size, rest: utf8(JSON.stringify(rest).slice(1)) };
    this.#shared = { covering, anchors, shared };
    return shared;
  }

  async #tile(log: Log, index: number, treeSize: number): Promise<HexTile> {
    const hashes = await this.#sources.tiles.tile(log, 0, index, treeSize);
    if (tileWidth(0, index, treeSize) < TILE_WIDTH) {
      const leaves = Array.from({ length: hashes.length / HASH_SIZE }, (_, i) =>
        toHex(hashes.subarray(i * HASH_SIZE, (i + 1) * HASH_SIZE)),
      );
      return { levels: [leaves], above: null };
    }
    const tree = new MerkleTree(hashes);
    const levels = Array.from({ length: TILE_HEIGHT }, (_, level) =>
      Array.from({ length: TILE_WIDTH >> level }, (_, i) => toHex(tree.node({ level, index: i }))),
    );
    // The lowest ranges of the path lie in the tile.
    const above = inclusionRanges(index * TILE_WIDTH, treeSize).slice(TILE_HEIGHT);
    return { levels, above: (await this.#sources.tiles.ranges(log, above, treeSize)).map(toHex) };
  }

  async #path(log: Log, index: number, treeSize: number): Promise<string[]> {
    return (await this.#sources.tiles.ranges(log, inclusionRanges(index, treeSize), treeSize)).map(toHex);
  }

  /** The leaf hash before the first of a tile. */
  async #before(log: Log, index: number, treeSize: number): Promise<string> {
    if (index === 0) return toHex(log.logId);
    const [hash] = await this.#sources.tiles.ranges(log, [{ begin: index - 1, end: index }], treeSize);
    if (hash === undefined) throw new AntequemError('internal', 'a tile has no such leaf');
    return toHex(hash);
  }
}

async function upTo(checkpoint: Published | null): Promise<Shared> {
  if (checkpoint === null) throw new AntequemError('internal', 'a receipt needs a checkpoint');
  return { treeSize: checkpoint.size, rest: utf8(JSON.stringify({ checkpoint: checkpoint.note }).slice(1)) };
}

/** The inclusion path of an entry; null where its tile is not complete. */
function pathIn({ levels, above }: HexTile, index: number): string[] | null {
  if (above === null) return null;
  const at = index % TILE_WIDTH;
  return [...levels.map((hashes, level) => hashes[(at >> level) ^ 1] ?? ''), ...above];
}

function once<K, V>(known: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
