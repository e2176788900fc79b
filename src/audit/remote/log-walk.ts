// Walks one log from where it was found in order on: bundles and tiles are on their way while others are looked at.

import { equalBytes } from '../../core/bytes.ts';
import type { CompleteTile } from '../../core/compact-range.ts';
import { TILE_WIDTH, tileWidth } from '../../core/tiles.ts';
import type { Findings } from '../checks/findings.ts';
import { type CheckpointRow, type LeafRow, VoucherCheck } from '../database/checkpoints.ts';
import type { Reached } from '../database/entry-walk.ts';
import type { LogKeys } from '../database/log-keys.ts';
import type { Position } from '../database/log-walk.ts';
import { checkTiles, type StoredTile } from '../database/tiles.ts';
import { BundleWalk, type Floor } from './bundle-walk.ts';
import type { Keeper } from './keeper.ts';
import { tileOfLog } from './layout.ts';
import { readAhead, type Source } from './source.ts';
import { fetchCompactRange, readTile } from './tiles.ts';

/** What is asked for before it is needed, in bundles. */
const DEPTH = 32;

/** What vouches for a log, each list ascending by size. */
export interface Vouchers {
  readonly checkpoints: readonly CheckpointRow[];
  readonly leaves: readonly LeafRow[];
  /** What an earlier audit had found. */
  readonly known: readonly Pick<Position, 'size' | 'root'>[];
}

export interface LogWalkOptions {
  readonly source: Source;
  /** Where what was verified is kept; null: nowhere. */
  readonly keeper: Keeper | null;
  readonly log: { readonly name: string; readonly origin: string };
  readonly keys: LogKeys;
  readonly findings: Findings;
  /** Entries that the checkpoint at hand tells of: tiles are as wide as it makes them. */
  readonly size: number;
  readonly from: Position;
  /** How many of the entries are walked. */
  readonly end: number;
  readonly vouchers: Vouchers;
  readonly floors: readonly Floor[];
  readonly commitment?: (index: number) => Uint8Array | null;
  /** Told after each bundle; all that vouches for the log up to there agrees, but for what is in the findings. */
  readonly onPosition: (walked: number, position: () => Position) => Promise<void>;
}

/** Where the walk came to; null where something was wrong that left no way on. */
export async function walkLog(options: LogWalkOptions): Promise<Position | null> {
  const { source, log, findings, from, vouchers, size } = options;
  const range = await fetchCompactRange(source, log.name, from, size);
  if (range === null) {
    const says = `the first ${from.size} entries of ${log.name} are not those that were last audited`;
    findings.add('log-rewritten', { log: log.name }, says);
    return null;
  }
  const marks = [...vouchers.checkpoints, ...vouchers.leaves, ...vouchers.known].map((voucher) => voucher.size);
  const walk = new BundleWalk({
    log: log.name,
    findings,
    from,
    range,
    marks: [...new Set(marks)].sort((a, b) => a - b),
    floors: options.floors,
    ...(options.commitment === undefined ? {} : { commitment: options.commitment }),
  });
  return new LogWalk(options, walk).run();
}

class LogWalk {
  readonly #options: LogWalkOptions;
  readonly #walk: BundleWalk;
  readonly #check: VoucherCheck;
  readonly #taken = { checkpoints: 0, leaves: 0, known: 0 };
  /** The newest of level 0, as it is served. */
  #tile: Uint8Array | null = null;

  constructor(options: LogWalkOptions, walk: BundleWalk) {
    this.#options = options;
    this.#walk = walk;
    this.#check = new VoucherCheck(options.log, options.keys, options.findings, options.from.size);
  }

  async run(): Promise<Position | null> {
    const { source, log, size, from, end, onPosition } = this.#options;
    await this.#vouch(this.#walk.start());
    const first = Math.floor(from.size / TILE_WIDTH);
    const bundles = readAhead(DEPTH, (n) => {
      const index = first + n;
      if (index * TILE_WIDTH >= end) return null;
      return Promise.all([
        readTile(source, log.name, { level: 'entries', index }, size),
        readTile(source, log.name, { level: 0, index }, size),
      ]);
    });
    while (this.#walk.size < end) {
      const [bundle, tile] = (await bundles.next()) ?? [null, null];
      const before = this.#walk.size;
      this.#tile = tile;
      if (!(await this.#takeBundle(bundle, tile, end))) return null;
      await onPosition(this.#walk.size - before, () => this.#walk.position());
    }
    if (end === size && end > from.size) await this.#checkPartials();
    return this.#walk.position();
  }

  async #takeBundle(bundle: Uint8Array | null, tile: Uint8Array | null, end: number): Promise<boolean> {
    const { log, size, findings, keeper } = this.#options;
    const begin = this.#walk.size;
    const index = Math.floor(begin / TILE_WIDTH);
    if (bundle === null) {
      const says = `the bundle with entry ${begin} of ${log.name}, which has ${size}, is not served`;
      findings.add('entry-missing', { log: log.name, index: begin }, says);
      return false;
    }
    const width = tileWidth(0, index, size);
    const walked = this.#walk.walk(bundle, Math.min(end, index * TILE_WIDTH + width), tile);
    if (walked === null) return false;
    for (const complete of walked.tiles) await this.#takeTile(complete, complete.level === 0 ? tile : undefined);
    await this.#vouch(walked.reached);
    if (this.#walk.size === index * TILE_WIDTH + width) {
      const bytes = bundle.subarray(0, width * 75);
      keeper?.keep(tileOfLog(log.name, { level: 'entries', index, width }), bytes);
      await keeper?.settled();
    }
    return true;
  }

  /** @param served undefined: to be asked for */
  async #takeTile(made: CompleteTile, served: Uint8Array | null | undefined): Promise<void> {
    const { source, log, size, findings, keeper } = this.#options;
    const { level, index, hashes, root } = made;
    const found = served === undefined ? await readTile(source, log.name, { level, index }, size) : served;
    const stored: StoredTile[] =
      found === null ? [] : [{ level, index, root, hashes: found.subarray(0, hashes.length) }];
    checkTiles(log, [made], stored, findings);
    keeper?.keep(tileOfLog(log.name, { level, index, width: hashes.length / 32 }), hashes);
  }

  /** The tiles at the right edge, as wide as the checkpoint makes them. */
  async #checkPartials(): Promise<void> {
    for (const [level, hashes] of this.#walk.partials().entries()) {
      if (hashes.length === 0) continue;
      const index = Math.floor(Math.floor(this.#walk.size / TILE_WIDTH ** level) / TILE_WIDTH);
      await this.#takeTile({ level, index, hashes, root: hashes }, level === 0 ? this.#tile : undefined);
    }
  }

  /** Compares what vouches for the sizes that were reached. */
  async #vouch(reached: readonly Reached[]): Promise<void> {
    const last = reached.at(-1);
    if (last === undefined) return;
    const { vouchers, findings, log } = this.#options;
    const checkpoints = this.#take(vouchers.checkpoints, 'checkpoints', last.size);
    const leaves = this.#take(vouchers.leaves, 'leaves', last.size);
    await this.#check.check({ checkpoints, leaves }, reached);
    for (const { size, root } of this.#take(vouchers.known, 'known', last.size)) {
      const now = reached.find((each) => each.size === size)?.root ?? root;
      if (equalBytes(now, root)) continue;
      const says = `the first ${size} entries of ${log.name} are not those that were last audited`;
      findings.add('log-rewritten', { log: log.name }, says);
    }
  }

  /** What of a list was not looked at yet, up to a size. */
  #take<T extends { readonly size: number }>(list: readonly T[], name: keyof Vouchers, size: number): T[] {
    const begin = this.#taken[name];
    let end = begin;
    while ((list[end]?.size ?? Number.POSITIVE_INFINITY) <= size) end++;
    this.#taken[name] = end;
    return list.slice(begin, end);
  }
}
