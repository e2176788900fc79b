// The part of the audit that touches every entry: chain and tree of one log, a bundle of 256 at a time.

import { sha256Into } from '#sha256';
import type { CompactRange, CompleteTile } from '../../core/compact-range.ts';
import { ENTRY_SIZE } from '../../core/entry.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import { formatTime } from '../../core/time.ts';
import type { Findings } from '../checks/findings.ts';
import type { Reached } from '../database/entry-walk.ts';
import type { Position } from '../database/log-walk.ts';

/** Entries from `index` on were put in after this time: a round that was closed then has none of them. */
export interface Floor {
  readonly index: number;
  /** Milliseconds. */
  readonly time: number;
  readonly round: number;
}

export interface BundleWalkOptions {
  readonly log: string;
  readonly findings: Findings;
  readonly from: Position;
  /** The tree there. */
  readonly range: CompactRange;
  /** Sizes at which the root is wanted, ascending, none below the one to begin with. */
  readonly marks: readonly number[];
  /** Ascending. */
  readonly floors: readonly Floor[];
  /** The commitment that an entry should have, where that is known. */
  readonly commitment?: (index: number) => Uint8Array | null;
}

/** What came of one bundle. */
export interface BundleWalked {
  /** Complete tiles, as the entries make them. */
  readonly tiles: readonly CompleteTile[];
  readonly reached: readonly Reached[];
}

/** A length of 73 before each entry, and its version behind it. */
const STRIDE = 2 + ENTRY_SIZE;
const VERSION = 0x01;
/** Milliseconds that an honest entry may seem older than a round before it: clocks apart, a commit that took its time. */
const TOLERANCE = 600_000;

export class BundleWalk {
  readonly #options: BundleWalkOptions;
  readonly #range: CompactRange;
  /** 0x00 ‖ entry. */
  readonly #input = Buffer.alloc(1 + ENTRY_SIZE);
  /** Leaf hash of the entry before, then those of the bundle at hand. */
  readonly #hashes = Buffer.alloc(32 * (1 + TILE_WIDTH));
  #receivedAt: number;
  #mark = 0;
  #floor = 0;

  constructor(options: BundleWalkOptions) {
    this.#options = options;
    this.#range = options.range;
    this.#hashes.set(options.from.leaf, 0);
    this.#receivedAt = options.from.receivedAt;
    while ((options.floors[this.#floor]?.index ?? Number.POSITIVE_INFINITY) < options.range.size) this.#floor++;
  }

  get size(): number {
    return this.#range.size;
  }

  position(): Position {
    return {
      size: this.#range.size,
      root: this.#range.root(),
      leaf: new Uint8Array(this.#hashes.subarray(0, 32)),
      receivedAt: this.#receivedAt,
    };
  }

  /** The hashes of the partial tiles of all levels, lowest first. */
  partials(): Uint8Array[] {
    return this.#range.partials();
  }

  /**
   * Walks on in the bundle that has the next entry, up to entry `end`. Null where an entry is not the one that comes next:
   * then there is a finding, and no way on.
   * @param tile the service's own hashes of these entries, which tell which of two is the wrong one
   */
  walk(bundle: Uint8Array, end: number, tile: Uint8Array | null): BundleWalked | null {
    const begin = this.#range.size;
    const base = begin - (begin % TILE_WIDTH);
    const bytes = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.byteLength);
    const reached: Reached[] = [];
    const { times, sound, fault } = this.#readTimes(bytes, begin, end, base);
    // That one before it does not follow says more than that there are too few.
    if (!this.#hash(bytes, begin, sound, base, tile)) return null;
    if (fault !== null) {
      const { findings, log } = this.#options;
      findings.add(fault.code, { log, index: sound }, fault.says);
      return null;
    }
    const tiles: CompleteTile[] = [];
    const onTile = (complete: CompleteTile): void => void tiles.push(complete);
    const { marks } = this.#options;
    if (begin === base && end === base + TILE_WIDTH && (marks[this.#mark] ?? end) >= end) {
      this.#range.appendTile(this.#hashes.subarray(32, 32 + 32 * TILE_WIDTH), onTile);
      this.#receivedAt = times[end - base - 1] ?? 0;
      this.#reach(reached);
    } else {
      for (let index = begin; index < end; index++) {
        const at = 32 * (1 + index - begin);
        this.#range.append(new Uint8Array(this.#hashes.subarray(at, at + 32)), onTile);
        this.#receivedAt = times[index - base] ?? 0;
        this.#reach(reached);
      }
    }
    this.#hashes.copyWithin(0, 32 * (end - begin), 32 * (1 + end - begin));
    return { tiles, reached };
  }

  /** Roots that are wanted at the size before the first entry. */
  start(): Reached[] {
    const reached: Reached[] = [];
    this.#reach(reached);
    return reached;
  }

  #reach(reached: Reached[]): void {
    const { marks } = this.#options;
    const { size } = this.#range;
    if (marks[this.#mark] !== size) return;
    reached.push({ size, root: this.#range.root(), receivedAt: this.#receivedAt });
    while (marks[this.#mark] === size) this.#mark++;
  }

  /** The times of the entries up to `sound`, the first that is none, if there is one. */
  #readTimes(
    bytes: Buffer,
    begin: number,
    end: number,
    base: number,
  ): { times: Float64Array; sound: number; fault: { code: 'entry-missing' | 'entry-altered'; says: string } | null } {
    const { findings, log } = this.#options;
    const times = new Float64Array(TILE_WIDTH);
    let before = this.#receivedAt;
    for (let index = begin; index < end; index++) {
      const at = STRIDE * (index - base);
      if (at + STRIDE > bytes.length) {
        const says = `entry ${index} of ${log} is missing from its bundle`;
        return { times, sound: index, fault: { code: 'entry-missing', says } };
      }
      const high = bytes.readUInt32BE(at + 3);
      // A length of 73, version 1, and a time below 2^53.
      if (bytes.readUInt16BE(at) !== ENTRY_SIZE || bytes[at + 2] !== VERSION || high >= 0x20_0000) {
        const says = `what stands as entry ${index} of ${log} is none`;
        return { times, sound: index, fault: { code: 'entry-altered', says } };
      }
      const time = high * 0x1_0000_0000 + bytes.readUInt32BE(at + 7);
      if (time < before) {
        const says = `entry ${index} of ${log} was received before the one before it`;
        findings.add('time-decreases', { log, index }, says);
      }
      if (this.#options.floors[this.#floor]?.index === index) this.#checkFloor(index, time);
      times[index - base] = time;
      before = time;
    }
    return { times, sound: end, fault: null };
  }

  #checkFloor(index: number, time: number): void {
    const { findings, log, floors } = this.#options;
    for (let floor = floors[this.#floor]; floor?.index === index; floor = floors[++this.#floor]) {
      if (time >= floor.time - TOLERANCE) continue;
      const says = `entry ${index} of ${log} says that it was received at ${formatTimeOf(time)}, and round ${floor.round}, closed at ${formatTimeOf(floor.time)}, does not have it yet`;
      findings.add('backdated', { log, index, round: floor.round }, says);
    }
  }

  /** Leaf hashes behind the one before; each entry must name the one before it. */
  #hash(bytes: Buffer, begin: number, end: number, base: number, tile: Uint8Array | null): boolean {
    const hashes = this.#hashes;
    const { commitment } = this.#options;
    for (let index = begin; index < end; index++) {
      const at = STRIDE * (index - base) + 2;
      const before = 32 * (index - begin);
      if (bytes.compare(hashes, before, before + 32, at + 9, at + 41) !== 0) {
        this.#breaks(index, bytes.subarray(at + 9, at + 41), base, tile);
        return false;
      }
      const expected = commitment?.(index) ?? null;
      if (expected !== null && bytes.compare(expected, 0, 32, at + 41, at + ENTRY_SIZE) !== 0) {
        const { findings, log } = this.#options;
        const says = `the payload of entry ${index} of ${log} does not have its commitment`;
        findings.add('payload-differs', { log, index }, says);
      }
      bytes.copy(this.#input, 1, at, at + ENTRY_SIZE);
      sha256Into(this.#input, hashes, before + 32);
    }
    return true;
  }

  #breaks(index: number, previous: Uint8Array, base: number, tile: Uint8Array | null): void {
    const { findings, log } = this.#options;
    // The tile says which hash the entry before had: if it is the one named here, that entry was changed.
    const place = 32 * (index - 1 - base);
    const named = place >= 0 && tile !== null && Buffer.compare(tile.subarray(place, place + 32), previous) === 0;
    const wrong = named ? index - 1 : index;
    const says = named
      ? `entry ${wrong} of ${log} has not the leaf hash that its tile and the entry after it name`
      : `entry ${wrong} of ${log} does not name the entry before it`;
    findings.add('entry-altered', { log, index: wrong }, says);
  }
}

function formatTimeOf(ms: number): string {
  try {
    return formatTime(ms);
  } catch {
    return `${ms} ms`;
  }
}
