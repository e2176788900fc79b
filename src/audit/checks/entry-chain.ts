// The chain and the tree of one log, entry by entry, with the times of its entries.

import { CompactRange, type CompleteTile } from '../../core/compact-range.ts';
import { parsed } from '../../core/errors.ts';
import { EMPTY_ROOT } from '../../core/merkle.ts';
import { formatTime } from '../../core/time.ts';
import type { Findings } from './findings.ts';

/** How far a log was read and found in order. */
export interface LogPosition {
  readonly size: number;
  readonly root: Uint8Array;
  /** Leaf hash of the last entry; the log id where there is none. */
  readonly leaf: Uint8Array;
  /** Milliseconds; 0 where there is no entry. */
  readonly receivedAt: number;
}

/** The tree of a log at one of its sizes. */
export interface TreeAt {
  readonly size: number;
  readonly root: Uint8Array;
  /** Of the last entry, milliseconds; 0 where there is none. */
  readonly receivedAt: number;
}

/** A round that closed without entry `index`, so that the entry should not be older than the round. */
export interface Floor {
  readonly index: number;
  /** When the round closed, milliseconds. */
  readonly time: number;
  readonly round: number;
}

/** How much older than the round before it an honest entry may seem: clocks differ, and a commit takes its time. */
const BACKDATING_TOLERANCE_MS = 600_000;

/** What a log is before its first entry. */
export function beginningOf({ logId }: { readonly logId: Uint8Array }): LogPosition {
  return { size: 0, root: EMPTY_ROOT, leaf: logId, receivedAt: 0 };
}

export class EntryChain {
  readonly #log: string;
  readonly #findings: Findings;
  readonly #range: CompactRange;
  #receivedAt: number;
  /** Of the entry whose time was checked last. */
  #checkedTime: number;
  #marks: readonly number[] = [];
  #mark = 0;
  #floors: readonly Floor[] = [];
  #floor = 0;
  #tiles: CompleteTile[] = [];
  #reached: TreeAt[] = [];
  readonly #onTile = (tile: CompleteTile): void => void this.#tiles.push(tile);

  /** @param range the tree where the chain begins; null: the empty one */
  constructor(log: string, findings: Findings, receivedAt: number, range: CompactRange | null) {
    this.#log = log;
    this.#findings = findings;
    this.#range = range ?? CompactRange.restore(0, []);
    this.#receivedAt = receivedAt;
    this.#checkedTime = receivedAt;
  }

  /** Entries so far; the index that comes next. */
  get size(): number {
    return this.#range.size;
  }

  get receivedAt(): number {
    return this.#receivedAt;
  }

  root(): Uint8Array {
    return this.#range.root();
  }

  /** The hashes of the partial tiles of all levels, lowest first. */
  partials(): Uint8Array[] {
    return this.#range.partials();
  }

  /**
   * Says what is looked for from here on.
   * @param marks sizes at which the root is wanted, ascending
   * @param floors ascending by index
   */
  expect(marks: readonly number[], floors: readonly Floor[]): void {
    this.#marks = marks;
    this.#mark = firstFrom(marks, (mark) => mark >= this.size);
    this.#floors = floors;
    this.#floor = firstFrom(floors, ({ index }) => index >= this.size);
    this.#reach();
  }

  /** Checks the time of an entry, milliseconds; entries in their order. */
  checkTime(index: number, receivedAt: number): void {
    if (receivedAt < this.#checkedTime) {
      const says = `entry ${index} of ${this.#log} was received before the entry before it`;
      this.#findings.add('time-decreases', { log: this.#log, index }, says);
    }
    this.#checkedTime = receivedAt;
    for (let floor = this.#floors[this.#floor]; floor?.index === index; floor = this.#floors[++this.#floor]) {
      this.checkAge(receivedAt, floor);
    }
  }

  /** Checks that the entry of a floor is not much older than the round that closed without it. */
  checkAge(receivedAt: number, { index, round, time }: Floor): void {
    if (receivedAt >= time - BACKDATING_TOLERANCE_MS) return;
    const says = `entry ${index} of ${this.#log} says that it was received at ${timeText(receivedAt)}, and round ${round}, closed at ${timeText(time)}, does not have it yet`;
    this.#findings.add('backdated', { log: this.#log, index, round }, says);
  }

  /** Takes in the leaf hash of the next entry. */
  append(leafHash: Uint8Array, receivedAt: number): void {
    this.#range.append(leafHash, this.#onTile);
    this.#receivedAt = receivedAt;
    this.#reach();
  }

  /** Whether 256 entries can be taken in at once: no root is wanted among them. */
  takesTile(width: number): boolean {
    return this.size % width === 0 && (this.#marks[this.#mark] ?? Number.POSITIVE_INFINITY) >= this.size + width;
  }

  /** Takes in 256 leaf hashes. @param receivedAt of the last of them */
  appendTile(leafHashes: Uint8Array, receivedAt: number): void {
    this.#range.appendTile(leafHashes, this.#onTile);
    this.#receivedAt = receivedAt;
    this.#reach();
  }

  /** The complete tiles and the wanted roots since the last call, as the entries make them. */
  take(): { readonly tiles: readonly CompleteTile[]; readonly reached: readonly TreeAt[] } {
    const taken = { tiles: this.#tiles, reached: this.#reached };
    this.#tiles = [];
    this.#reached = [];
    return taken;
  }

  /** Entry `index` is not what was logged. */
  altered(index: number, how: string): void {
    this.#findings.add('entry-altered', { log: this.#log, index }, `entry ${index} of ${this.#log} ${how}`);
  }

  #reach(): void {
    const { size } = this.#range;
    if (this.#marks[this.#mark] !== size) return;
    this.#reached.push({ size, root: this.#range.root(), receivedAt: this.#receivedAt });
    while (this.#marks[this.#mark] === size) this.#mark++;
  }
}

function firstFrom<T>(list: readonly T[], reached: (each: T) => boolean): number {
  const first = list.findIndex(reached);
  return first < 0 ? list.length : first;
}

function timeText(ms: number): string {
  return parsed(() => formatTime(ms)) ?? `${ms} ms`;
}
