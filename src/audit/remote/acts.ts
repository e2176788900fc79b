// Reads the acts of `_system`: what they tell is taken at once, and held against the commitments of the log later.

import { sha256 } from '#sha256';
import { SYSTEM_LOG } from '../../core/origin.ts';
import { TILE_WIDTH, tileWidth } from '../../core/tiles.ts';
import { type Act, readAct } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';
import type { Keeper } from './keeper.ts';
import { actsPath, MAX_ACTS } from './layout.ts';
import { type Ahead, type AuditSource, readAhead } from './source.ts';

const DEPTH = 3;
const NEWLINE = 0x0a;
const NONE = new Uint8Array(0);

/** The acts from one entry of `_system` on, in order. */
export class ActReader {
  readonly #source: AuditSource;
  readonly #keeper: Keeper | null;
  readonly #findings: Findings;
  readonly #size: number;
  readonly #bundles: Ahead<Uint8Array | null>;
  #next: number;
  #lines: Uint8Array[] = [];
  /** The commitments of the acts that were read since they were last asked for. */
  #commitments = new Map<number, Uint8Array>();

  /** @param size entries that `_system` has */
  constructor(source: AuditSource, keeper: Keeper | null, findings: Findings, from: number, size: number) {
    this.#source = source;
    this.#keeper = keeper;
    this.#findings = findings;
    this.#size = size;
    this.#next = from;
    const first = Math.floor(from / TILE_WIDTH);
    this.#bundles = readAhead(DEPTH, (n) => ((first + n) * TILE_WIDTH < size ? this.#read(first + n) : null));
  }

  /** The entry that comes next. */
  get next(): number {
    return this.#next;
  }

  /** What the next entry tells: null where that is nothing; undefined behind the last, or where it is not served. */
  async read(): Promise<Act | null | undefined> {
    if (this.#next >= this.#size) return undefined;
    if (this.#lines.length === 0 && !(await this.#fill())) return undefined;
    const entry = this.#next++;
    const payload = this.#lines.shift() ?? NONE;
    if (payload.length === 0) {
      this.#unreadable(entry, 'has no payload');
      return null;
    }
    this.#commitments.set(entry, sha256(sha256(payload)));
    const act = readAct(entry, payload);
    if (typeof act !== 'string') return act;
    this.#unreadable(entry, act);
    return null;
  }

  /** The commitments that the entries read so far must have; they are not told again. */
  takeCommitments(): ReadonlyMap<number, Uint8Array> {
    const taken = this.#commitments;
    this.#commitments = new Map();
    return taken;
  }

  async #fill(): Promise<boolean> {
    const index = Math.floor(this.#next / TILE_WIDTH);
    const width = tileWidth(0, index, this.#size);
    const bytes = await this.#bundles.next();
    const lines = bytes === null ? [] : linesOf(bytes, width);
    if (bytes === null || lines.length < width) {
      this.#unreadable(index * TILE_WIDTH + lines.length, 'is not served with its payload');
      return false;
    }
    this.#lines = lines.slice(this.#next - index * TILE_WIDTH);
    const end = lines.reduce((length, line) => length + line.length + 1, 0);
    this.#keeper?.keep(actsPath(index, width), bytes.subarray(0, end));
    await this.#keeper?.settled();
    return true;
  }

  async #read(index: number): Promise<Uint8Array | null> {
    const width = tileWidth(0, index, this.#size);
    const found = await this.#source.read(actsPath(index, width), MAX_ACTS);
    if (found !== null || width === TILE_WIDTH) return found;
    return this.#source.read(actsPath(index, TILE_WIDTH), MAX_ACTS);
  }

  #unreadable(index: number, how: string): void {
    this.#findings.add('act-unreadable', { log: SYSTEM_LOG, index }, `entry ${index} of _system ${how}`);
  }
}

/** The first lines, at most `most`, without their ends. */
function linesOf(bytes: Uint8Array, most: number): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let at = 0; lines.length < most; ) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) break;
    lines.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return lines;
}
