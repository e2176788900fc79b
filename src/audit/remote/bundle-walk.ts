// The part of the audit that touches every entry: the entries of one log, a bundle of up to 256 at a time.

import { sha256Into } from '#sha256';
import { CompactRange } from '../../core/compact-range.ts';
import { ENTRY_SIZE } from '../../core/entry.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { EntryChain } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';

export interface BundleWalkOptions {
  readonly log: string;
  readonly findings: Findings;
  /** The log up to where the walk begins. */
  readonly chain: EntryChain;
  /** Leaf hash of the entry before: the log id at index 0. */
  readonly leaf: Uint8Array;
  /** Entries of the log by its checkpoint, and the root that is signed there. */
  readonly size: number;
  readonly root: Uint8Array;
  /** The commitment that an entry should have, where that is known. */
  readonly commitment?: (index: number) => Uint8Array | null;
}

/** What is served about some entries. */
export interface ServedEntries {
  readonly bundle: Uint8Array;
  /** The leaf hashes of the same entries; null: not served. */
  readonly tile: Uint8Array | null;
  /** The bundle behind it; null: there is none, or it is not served. */
  readonly next: Uint8Array | null;
}

/** A length of 73 before each entry. */
const STRIDE = 2 + ENTRY_SIZE;
const VERSION = 0x01;
/** Where in an entry of a bundle the fields begin: length 2, version 1, time 8, previous 32, commitment 32. */
const PREVIOUS_AT = 11;
const COMMITMENT_AT = 43;

export class BundleWalk {
  readonly #options: BundleWalkOptions;
  /** 0x00 ‖ entry. */
  readonly #input = Buffer.alloc(1 + ENTRY_SIZE);
  /** Leaf hash of the entry before, then those of the bundle at hand. */
  readonly #hashes = Buffer.alloc(32 * (1 + TILE_WIDTH));

  constructor(options: BundleWalkOptions) {
    this.#options = options;
    this.#hashes.set(options.leaf, 0);
  }

  /** Leaf hash of the entry before. */
  get leaf(): Uint8Array {
    return new Uint8Array(this.#hashes.subarray(0, 32));
  }

  /**
   * Walks on in the bundle that has the next entry, up to entry `end`.
   * @returns false where an entry cannot be read: then there is a finding, and no way on
   */
  walk(served: ServedEntries, end: number): boolean {
    const { chain } = this.#options;
    const begin = chain.size;
    const base = begin - (begin % TILE_WIDTH);
    const bytes = bufferOf(served.bundle);
    const times = this.#readTimes(bytes, begin, end, base, served);
    if (times === null) return false;
    this.#hash(bytes, begin, end, base);
    if (!this.#linked(bytes, begin, end, base, served)) this.#repair(bytes, begin, end, base, served);
    const last = times[end - 1 - base] ?? 0;
    if (begin === base && end === base + TILE_WIDTH && chain.takesTile(TILE_WIDTH)) {
      chain.appendTile(this.#hashes.subarray(32, 32 + 32 * TILE_WIDTH), last);
    } else {
      for (let index = begin; index < end; index++) {
        chain.append(new Uint8Array(this.#hashAt(index, begin)), times[index - base] ?? 0);
      }
    }
    this.#hashes.copyWithin(0, 32 * (end - begin), 32 * (1 + end - begin));
    return true;
  }

  /** The times of the entries; null where one of them is none. */
  #readTimes(bytes: Buffer, begin: number, end: number, base: number, served: ServedEntries): Float64Array | null {
    const { findings, log, chain } = this.#options;
    const times = new Float64Array(TILE_WIDTH);
    for (let index = begin; index < end; index++) {
      const at = STRIDE * (index - base);
      const missing = at + STRIDE > bytes.length;
      if (missing || !isEntry(bytes, at)) {
        // An entry before it that does not follow says more than that one is missing.
        this.#hash(bytes, begin, index, base);
        this.#repair(bytes, begin, index, base, served);
        if (missing)
          findings.add('entry-missing', { log, index }, `entry ${index} of ${log} is missing from its bundle`);
        else chain.altered(index, 'is not an entry');
        return null;
      }
      const time = bytes.readUInt32BE(at + 3) * 0x1_0000_0000 + bytes.readUInt32BE(at + 7);
      chain.checkTime(index, time);
      times[index - base] = time;
    }
    return times;
  }

  /** Computes the leaf hashes, behind the one before. */
  #hash(bytes: Buffer, begin: number, end: number, base: number): void {
    const { commitment, findings, log } = this.#options;
    for (let index = begin; index < end; index++) {
      const at = STRIDE * (index - base) + 2;
      const expected = commitment?.(index) ?? null;
      if (expected !== null && bytes.compare(expected, 0, 32, at + COMMITMENT_AT - 2, at + ENTRY_SIZE) !== 0) {
        const says = `the payload of entry ${index} of ${log} does not have its commitment`;
        findings.add('payload-differs', { log, index }, says);
      }
      bytes.copy(this.#input, 1, at, at + ENTRY_SIZE);
      sha256Into(this.#input, this.#hashes, 32 * (1 + index - begin));
    }
  }

  /** Whether each entry names the one before it, and the tile has their hashes. */
  #linked(bytes: Buffer, begin: number, end: number, base: number, { tile, next }: ServedEntries): boolean {
    for (let index = begin; index < end; index++) if (!this.#follows(bytes, index, begin, base)) return false;
    const named = this.#namedBehind(bytes, end, base, next);
    if (named !== null) return named.equals(this.#hashAt(end - 1, begin));
    const stored = storedAt(tile, end - 1, base);
    return stored === null || stored.equals(this.#hashAt(end - 1, begin));
  }

  /**
   * Finds the entries that were changed, and puts the leaf hashes that they had in the place of those that they make now: what
   * was logged goes on, so that one changed entry is one finding. Such a hash is named by the entry behind, or, where that
   * one is out of its place, stored in the tile.
   */
  #repair(bytes: Buffer, begin: number, end: number, base: number, { tile, next }: ServedEntries): void {
    const { chain } = this.#options;
    for (let index = begin; index < end; index++) {
      const hash = this.#hashAt(index, begin);
      if (!this.#follows(bytes, index, begin, base)) {
        chain.altered(index, 'does not name the entry before it');
      }
      const stored = storedAt(tile, index, base);
      const inPlace = stored?.equals(hash) ?? false;
      const named =
        index + 1 < end
          ? bytes.subarray(STRIDE * (index + 1 - base) + PREVIOUS_AT).subarray(0, 32)
          : this.#namedBehind(bytes, end, base, next);
      if (named !== null && !named.equals(hash) && !inPlace) {
        chain.altered(index, 'has another leaf hash than its time, its commitment and the entry before make');
        hash.set(named);
      } else if (named === null && stored !== null && !inPlace && !this.#makesRoot(begin, end)) {
        chain.altered(index, 'has another leaf hash than its time, its commitment and the entry before make');
        hash.set(stored);
      }
    }
  }

  /** Whether the entries up to `end` make the signed root as they are. */
  #makesRoot(begin: number, end: number): boolean {
    const { chain, root } = this.#options;
    const tree = CompactRange.restore(chain.size, chain.partials());
    for (let index = begin; index < end; index++) tree.append(this.#hashAt(index, begin), () => {});
    return Buffer.compare(tree.root(), root) === 0;
  }

  /** Whether an entry names the leaf hash of the entry before it. */
  #follows(bytes: Buffer, index: number, begin: number, base: number): boolean {
    const named = STRIDE * (index - base) + PREVIOUS_AT;
    const before = 32 * (index - begin);
    return bytes.compare(this.#hashes, before, before + 32, named, named + 32) === 0;
  }

  /** The leaf hash of entry `end` − 1 that the entry behind it names; null where none is served. */
  #namedBehind(bytes: Buffer, end: number, base: number, next: Uint8Array | null): Buffer | null {
    if (end >= this.#options.size) return null;
    const within = end < base + TILE_WIDTH;
    const from = within ? bytes : next === null ? null : bufferOf(next);
    const at = (within ? STRIDE * (end - base) : 0) + PREVIOUS_AT;
    return from === null || at + 32 > from.length ? null : from.subarray(at, at + 32);
  }

  #hashAt(index: number, begin: number): Buffer {
    const at = 32 * (1 + index - begin);
    return this.#hashes.subarray(at, at + 32);
  }
}

/** A length of 73, version 1, and a time below 2^53. */
function isEntry(bytes: Buffer, at: number): boolean {
  return bytes.readUInt16BE(at) === ENTRY_SIZE && bytes[at + 2] === VERSION && bytes.readUInt32BE(at + 3) < 0x20_0000;
}

/** The leaf hash of an entry in its tile; null where the tile is not served so far. */
function storedAt(tile: Uint8Array | null, index: number, base: number): Buffer | null {
  const at = 32 * (index - base);
  return tile === null || at + 32 > tile.length ? null : bufferOf(tile).subarray(at, at + 32);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
