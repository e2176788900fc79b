// Receipts of many entries of a log at a time: what the entries of a round and of a tile share is looked up, and written,
// once for all of them.

import { concat, utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { inclusionRanges, MerkleTree } from '../core/merkle.ts';
import { type Anchor, RECEIPT_FORMAT, type RoundReceipt } from '../core/receipt.ts';
import { TextWriter } from '../core/text-writer.ts';
import { TILE_HEIGHT, TILE_WIDTH } from '../core/tiles.ts';
import { formatTime } from '../core/time.ts';
import type { StoredEntry } from '../log/blocks/open-block.ts';
import type { Log } from '../log/log.ts';
import type { Published } from '../log/publish.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Queryable } from '../store/database.ts';
import type { Covering } from './receipt-parts.ts';
import { checkpointGone, readCovering, receiptRound } from './receipts.ts';
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

/** What the paths of the entries of a complete tile are put together from. */
interface WrittenTile {
  /** The hashes of each level below its root as members of a JSON array, {@link MEMBER_BYTES} each. */
  readonly levels: readonly Uint8Array[];
  /** The same of the path from its root to that of the tree. */
  readonly above: Uint8Array;
}

/** A hash of 32 bytes in hex, with quotes and the comma behind it. */
const MEMBER_BYTES = 67;
/** Behind the last member there is no comma. */
const COMMA_BYTES = 1;
const QUOTE = 0x22;
const COMMA = 0x2c;
const NONCE = utf8('","nonce":"');
const PREVIOUS = utf8('","previous":"');
const PATH_END = utf8(']},');
const NOTHING = new Uint8Array(0);

/** What is known of the entries from `begin` on, up to the size that the round covers. */
interface KnownCovering {
  readonly log: number;
  readonly begin: number;
  readonly covering: Covering;
}

/** Writes the JSON text of a receipt. */
export type ReceiptText = (out: TextWriter) => void;

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
    this.#keepLeaves(log, entries);
    return this.#written(log, entries, coverings, checkpoint);
  }

  async #written(
    log: Log,
    entries: readonly StoredEntry[],
    coverings: readonly (Covering | null)[],
    checkpoint: Published | null,
  ): Promise<(ReceiptText | null)[]> {
    const head = utf8(`{"format":"${RECEIPT_FORMAT}","entry":{"log":${JSON.stringify(log.origin)},"index":`);
    const shared = new Map<number | null, Shared>();
    const tiles = new Map<string, WrittenTile>();
    let time = { at: 0, text: formatTime(0) };
    const texts: (ReceiptText | null)[] = [];
    for (const [i, entry] of entries.entries()) {
      const { index, secret } = entry;
      if (secret === null) {
        texts.push(null);
        continue;
      }
      const covering = coverings[i] ?? null;
      const round = covering?.round ?? null;
      const { treeSize, rest } =
        shared.get(round) ?? (covering === null ? upTo(checkpoint) : await this.#covered(log, covering));
      shared.set(round, { treeSize, rest });
      const [before, after] = [entries[i - 1], entries[i + 1]];
      const number = tileOf(index);
      // Not worth its while for one entry.
      const hasCompany = [before, after].some((other) => other !== undefined && tileOf(other.index) === number);
      let path: WrittenTile | Uint8Array;
      if (hasCompany && (number + 1) * TILE_WIDTH <= treeSize) {
        const key = `${number}/${treeSize}`;
        path = tiles.get(key) ?? (await this.#tile(log, number, treeSize));
        tiles.set(key, path);
      } else {
        path = members(await this.#sources.tiles.ranges(log, inclusionRanges(index, treeSize), treeSize));
      }
      const previous = before?.index === index - 1 ? before.leafHash : await this.#before(log, index, treeSize);
      // Entries of a batch have one time.
      if (time.at !== entry.receivedAt) time = { at: entry.receivedAt, text: formatTime(entry.receivedAt) };
      const receivedAt = time.text;
      texts.push((out) => {
        out.bytes(head);
        out.text(`${index},"receivedAt":"${receivedAt}","digest":"`);
        out.hex(secret.digest);
        out.bytes(NONCE);
        out.hex(secret.nonce);
        out.bytes(PREVIOUS);
        out.hex(previous);
        out.text(`"},"inclusion":{"treeSize":${treeSize},"path":[`);
        writePath(out, path, index);
        out.bytes(PATH_END);
        out.bytes(rest);
      });
    }
    return texts;
  }

  /** Of a whole tile of entries the tile need not be read. */
  #keepLeaves(log: Log, entries: readonly StoredEntry[]): void {
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined || first.index % TILE_WIDTH !== 0) return;
    if (entries.length !== TILE_WIDTH || last.index !== first.index + TILE_WIDTH - 1) return;
    this.#sources.tiles.keepLeaves(
      log.id,
      first.index / TILE_WIDTH,
      concat(...entries.map(({ leafHash }) => leafHash)),
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
    // What was used last was signed.
    const known = this.#shared?.covering;
    const isKnown = ({ round, size }: Covering): boolean => round === known?.round && size === known.size;
    const sizes = [...new Set(coverings.flatMap((each) => (each === null || isKnown(each) ? [] : [each.size])))];
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

  async #tile(log: Log, number: number, treeSize: number): Promise<WrittenTile> {
    const tree = new MerkleTree(await this.#sources.tiles.tile(log, 0, number, treeSize));
    const levels = Array.from({ length: TILE_HEIGHT }, (_, level) =>
      members(Array.from({ length: TILE_WIDTH >> level }, (_, index) => tree.node({ level, index }))),
    );
    // The lowest ranges of the path lie in the tile.
    const above = inclusionRanges(number * TILE_WIDTH, treeSize).slice(TILE_HEIGHT);
    return { levels, above: members(await this.#sources.tiles.ranges(log, above, treeSize)) };
  }

  async #before(log: Log, index: number, treeSize: number): Promise<Uint8Array> {
    if (index === 0) return log.logId;
    const [hash] = await this.#sources.tiles.ranges(log, [{ begin: index - 1, end: index }], treeSize);
    if (hash === undefined) throw new AntequemError('internal', 'a tile has no such leaf');
    return hash;
  }
}

function upTo(checkpoint: Published | null): Shared {
  if (checkpoint === null) throw new AntequemError('internal', 'a receipt needs a checkpoint');
  return { treeSize: checkpoint.size, rest: utf8(JSON.stringify({ checkpoint: checkpoint.note }).slice(1)) };
}

/** Hashes as members of a JSON array, each with a comma behind it. */
function members(hashes: readonly Uint8Array[]): Uint8Array {
  const out = new TextWriter(MEMBER_BYTES * hashes.length);
  for (const hash of hashes) {
    out.byte(QUOTE);
    out.hex(hash);
    out.byte(QUOTE);
    out.byte(COMMA);
  }
  return out.written();
}

/** The inclusion path of an entry as members of a JSON array. @param path all of it, or what it is put together from */
function writePath(out: TextWriter, path: WrittenTile | Uint8Array, index: number): void {
  if (path instanceof Uint8Array) {
    out.bytes(path, 0, Math.max(0, path.length - COMMA_BYTES));
    return;
  }
  const { levels, above } = path;
  for (let level = 0; level < TILE_HEIGHT; level++) {
    const from = MEMBER_BYTES * (((index % TILE_WIDTH) >> level) ^ 1);
    const isLast = above.length === 0 && level === TILE_HEIGHT - 1;
    out.bytes(levels[level] ?? NOTHING, from, from + MEMBER_BYTES - (isLast ? COMMA_BYTES : 0));
  }
  out.bytes(above, 0, Math.max(0, above.length - COMMA_BYTES));
}

function tileOf(index: number): number {
  return Math.floor(index / TILE_WIDTH);
}
