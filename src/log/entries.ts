import { ENTRY_SIZE, encodeEntry } from '../core/entry.ts';
import type { SharedLimit } from '../core/lru.ts';
import { hashLeaf } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { Batch } from '../store/batch.ts';
import type { Queryable } from '../store/database.ts';
import type { BlockArchive } from './blocks/archived-block.ts';
import { blocksBetween, blocksFrom, type EntryPlace, readBlocks, receivedAt } from './blocks/blocks.ts';
import { leafBefore, leafHashes } from './blocks/head.ts';
import { damaged, type OpenBlock, type StoredEntry } from './blocks/open-block.ts';
import { RememberedContents } from './blocks/remembered-contents.ts';
import { heldDigests, locateDigest } from './digest-index.ts';
import type { Log } from './log.ts';
import { TileStore } from './tilestore.ts';

/** What stands before each entry of a bundle: its length as a u16. */
const HEAD = Buffer.from([0, ENTRY_SIZE]);

/** An entry with its payload; null where there is none. */
export interface FoundEntry extends StoredEntry {
  readonly payload: Uint8Array | null;
}

/** What is looked for. */
export interface Criterion {
  /** Whether an entry with this payload is. */
  readonly fits: (payload: Uint8Array | null) => boolean;
  /** Whether one of several may be, whose payloads stand one behind the other. */
  readonly mayBeAmong: (payloads: Uint8Array) => boolean;
}

/** What was found among some entries. */
export interface Portion {
  readonly entries: readonly FoundEntry[];
  /** The first index that was not looked at. */
  readonly next: number;
  /** Of the payloads that were. */
  readonly bytes: number;
}

/** Reads entries back. */
export class EntryReader {
  readonly #database: Queryable;
  readonly #archive: BlockArchive | null;
  readonly #tiles: TileStore;
  readonly #blocks: Batch<EntryPlace, OpenBlock | null>;
  /** For all that reads single entries. */
  readonly remembered: RememberedContents;

  /**
   * @param archive where old contents lie; null: nowhere
   * @param tiles where leaf hashes of old tiles come from
   * @param memory of contents that are remembered; without it as much as is usual
   */
  constructor(
    database: Queryable,
    archive: BlockArchive | null = null,
    tiles: TileStore = new TileStore(database, { blocks: archive, tiles: null }),
    memory?: SharedLimit,
  ) {
    this.#database = database;
    this.#archive = archive;
    this.#tiles = tiles;
    this.remembered = new RememberedContents(memory);
    this.#blocks = new Batch((places) => readBlocks(database, places, this.remembered));
  }

  /** Entry `index`, null where the log is not so long. */
  async read(log: Pick<Log, 'id'>, index: number): Promise<StoredEntry | null> {
    const block = await this.#block(log, index);
    return block === null ? null : (await this.#withLeaves(block)).entry(index);
  }

  async #withLeaves(block: OpenBlock): Promise<OpenBlock> {
    if (!block.lacksLeaves) return block;
    return block.withLeaves(await this.#tiles.leaves(block.log, Math.floor(block.first / TILE_WIDTH)));
  }

  /** Fetched from the archive by itself: what lies here does not wait for it. */
  async #block({ id }: Pick<Log, 'id'>, index: number): Promise<OpenBlock | null> {
    return (await this.#blocks.get({ log: id, index }))?.opened(this.#archive) ?? null;
  }

  /** @param tiles whether their leaf hashes are needed */
  #between(log: Log, begin: number, end: number, tiles = true): AsyncGenerator<OpenBlock> {
    return blocksBetween(this.#database, log, begin, end, { archive: this.#archive, tiles });
  }

  /** When entry `index` was received, milliseconds; null where the log is not so long. */
  receivedAt({ id }: Log, index: number): Promise<number | null> {
    return receivedAt(this.#database, { log: id, index });
  }

  /** Entries [begin, end), which must be there. */
  async list(log: Log, begin: number, end: number): Promise<StoredEntry[]> {
    const entries: StoredEntry[] = [];
    for await (const block of this.#between(log, begin, end)) {
      const whole = await this.#withLeaves(block);
      for (const index of indices(block, begin, end)) entries.push(whole.entry(index));
    }
    return entries;
  }

  /**
   * Looks through entries from `begin` on, in order: as many of [begin, end) as are read at a time, with about `bytes` of payload
   * together, or until `most` were found. They must be there. Nothing but payloads is looked at of those that do not fit.
   * @param criterion null: all fit
   */
  async portion(
    log: Log,
    begin: number,
    end: number,
    { bytes, most, criterion }: { bytes: number; most: number; criterion: Criterion | null },
  ): Promise<Portion> {
    const entries: FoundEntry[] = [];
    let total = 0;
    let next = begin;
    // Most searches find little: the tile of what they find is read then.
    const read = { archive: this.#archive, tiles: criterion === null, bytes };
    for await (const block of blocksFrom(this.#database, log, begin, end, read)) {
      let whole: OpenBlock | null = null;
      for (const limit = Math.min(block.end, end); next < limit; ) {
        const packed = block.packedWith(next);
        total += packed.payloads.length;
        const packedEnd = Math.min(packed.end, limit);
        // A look at all of them together costs a fraction of one at each.
        if (criterion !== null && !criterion.mayBeAmong(packed.payloads)) next = packedEnd;
        for (; next < packedEnd; next++) {
          const payload = block.payload(next);
          if (criterion !== null && !criterion.fits(payload)) continue;
          whole ??= await this.#withLeaves(block);
          entries.push({ ...whole.entry(next), payload });
          if (entries.length === most) return { entries, next: next + 1, bytes: total };
        }
      }
      if (whole === null) block.release();
    }
    return { entries, next, bytes: total };
  }

  /** The payload of an entry: `absent` where the client kept it or it was erased. */
  async payload(log: Log, index: number): Promise<Uint8Array | 'absent' | null> {
    const block = await this.#block(log, index);
    return block === null ? null : (block.payload(index) ?? 'absent');
  }

  /** The payloads of entries [begin, end), which must be there; null where there is none. */
  async payloads(log: Log, begin: number, end: number): Promise<(Uint8Array | null)[]> {
    const payloads: (Uint8Array | null)[] = [];
    for await (const block of this.#between(log, begin, end, false)) {
      for (const index of indices(block, begin, end)) payloads.push(block.payload(index));
    }
    return payloads;
  }

  /** Entry `index` and the leaf hash of the one before (the log id for index 0), null where the log is not so long. */
  async chained(log: Log, index: number): Promise<{ entry: StoredEntry; previous: Uint8Array } | null> {
    const block = await this.#blocks.get({ log: log.id, index });
    return block === null ? null : this.chainedIn(log, block, index);
  }

  /** The same, of an entry in a block that was read. */
  async chainedIn(log: Log, block: OpenBlock, index: number): Promise<{ entry: StoredEntry; previous: Uint8Array }> {
    const opened = await this.#withLeaves(await block.opened(this.#archive));
    return { entry: opened.entry(index), previous: await this.#leafHashBefore(log, opened, index) };
  }

  async #leafHashBefore(log: Log, block: OpenBlock, index: number): Promise<Uint8Array> {
    if (index === 0) return log.logId;
    if (index % TILE_WIDTH === 0) return leafBefore(this.#database, log.id, index);
    return block.hasLeaf(index - 1) ? block.leafHash(index - 1) : leafHashes(this.#database, log.id, index - 1, index);
  }

  /** Bundle `index` of the C2SP tile API, its first `width` entries. */
  async bundle(log: Log, index: number, width: number): Promise<Uint8Array> {
    const begin = index * TILE_WIDTH;
    const bundle = Buffer.allocUnsafe(width * (HEAD.length + ENTRY_SIZE));
    let at = 0;
    let previous: Uint8Array | null = null;
    for await (const block of this.#between(log, begin, begin + width)) {
      previous ??= await this.#leafHashBefore(log, block, begin);
      for (const each of indices(block, begin, begin + width)) {
        const entry = encodeEntry({ receivedAt: block.receivedAt(each), previous, commitment: block.commitment(each) });
        bundle.set(HEAD, at);
        bundle.set(entry, at + HEAD.length);
        at += HEAD.length + ENTRY_SIZE;
        previous = block.chained(each, hashLeaf(entry));
      }
    }
    if (at !== bundle.length) throw damaged(log.name, `entries from ${begin} on`);
    return bundle;
  }

  /** Which of these digests the log holds, in hex. */
  held(log: Log, digests: readonly Uint8Array[]): Promise<Set<string>> {
    return heldDigests(this.#database, log, digests, this.#archive);
  }

  /** Where a digest was logged, in these logs or (null) in all, in no order, at most `limit` places. */
  locate(digest: Uint8Array, logs: readonly string[] | null, limit: number): ReturnType<typeof locateDigest> {
    return locateDigest(this.#database, digest, logs, limit, this.#archive, this.remembered);
  }
}

function* indices({ first, end }: OpenBlock, from: number, to: number): Generator<number> {
  for (let index = Math.max(first, from); index < Math.min(end, to); index++) yield index;
}
