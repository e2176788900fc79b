// Walks one log on from where it was found in order: bundles and tiles are on their way while others are checked.

import { equalBytes } from '../../core/bytes.ts';
import type { CompleteTile } from '../../core/compact-range.ts';
import { TILE_WIDTH, tileWidth } from '../../core/tiles.ts';
import { EntryChain, type Floor, type LogPosition, type TreeAt } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import { checkTiles, type StoredTile } from '../checks/tiles.ts';
import { type SignedLog, VoucherCheck, type Vouchers, vouchedSizes } from '../checks/vouchers.ts';
import { BundleWalk } from './bundle-walk.ts';
import type { Keeper } from './keeper.ts';
import { tileOfLog } from './layout.ts';
import { type AuditSource, readAhead } from './source.ts';
import { fetchCompactRange, readTile } from './tiles.ts';

/** How many bundles are asked for before they are needed. */
const DEPTH = 32;

export interface ShownLogWalkOptions {
  readonly source: AuditSource;
  /** Where what was verified is kept; null: nowhere. */
  readonly keeper: Keeper | null;
  readonly log: SignedLog;
  readonly findings: Findings;
  /** The checkpoint at hand: tiles are as wide as its size makes them. */
  readonly head: { readonly size: number; readonly root: Uint8Array };
  readonly from: LogPosition;
  /** Where to begin if the log is not what it was at `from`. */
  readonly beginning: LogPosition;
  /** Whether an earlier audit read up to `from`, and not this one. */
  readonly remembered: boolean;
  /** How many of the entries are walked. */
  readonly end: number;
  readonly vouchers: Vouchers;
  /** Where earlier walks came to, ascending. */
  readonly known: readonly Pick<LogPosition, 'size' | 'root'>[];
  readonly floors: readonly Floor[];
  readonly commitment?: (index: number) => Uint8Array | null;
  /** Called after each bundle; all that vouches for the log up to there agrees, unless there is a finding. */
  readonly onPosition: (walked: number, position: () => LogPosition) => Promise<void>;
}

/** Walks a log. @returns where it came to; null where something is wrong and there is no way on */
export async function walkShownLog(options: ShownLogWalkOptions): Promise<LogPosition | null> {
  const { source, log, findings, from, head, remembered, beginning } = options;
  const range = await fetchCompactRange(source, log.name, from, head.size);
  if (range !== null)
    return new ShownLogWalk(options, new EntryChain(log.name, findings, from.receivedAt, range)).run();
  const before = findings.count;
  if (remembered) {
    const says = `the first ${from.size} entries of ${log.name} are not those that were last audited`;
    findings.add('log-rewritten', { log: log.name }, says);
  }
  // From the start the walk tells where it differs, the tiles of the whole tree included.
  const chain = new EntryChain(log.name, findings, 0, null);
  await new ShownLogWalk({ ...options, from: beginning, end: head.size }, chain).run();
  if (findings.count === before) {
    const says = `the tiles of ${log.name} did not make the root of its first ${from.size} entries`;
    findings.add('tile-differs', { log: log.name }, says);
  }
  return null;
}

class ShownLogWalk {
  readonly #options: ShownLogWalkOptions;
  readonly #chain: EntryChain;
  readonly #entries: BundleWalk;
  readonly #check: VoucherCheck;
  readonly #taken = { checkpoints: 0, leaves: 0, known: 0 };
  /** The newest of level 0, as it is served. */
  #tile: Uint8Array | null = null;

  constructor(options: ShownLogWalkOptions, chain: EntryChain) {
    const { log, findings, from, head, commitment, vouchers, known, floors } = options;
    this.#options = options;
    this.#chain = chain;
    this.#entries = new BundleWalk({
      log: log.name,
      findings,
      chain,
      leaf: from.leaf,
      size: head.size,
      root: head.root,
      ...(commitment === undefined ? {} : { commitment }),
    });
    this.#check = new VoucherCheck(log, findings, from.size);
    chain.expect(
      [...new Set([...vouchedSizes(vouchers), ...sizesOf(known)])].sort((a, b) => a - b),
      floors,
    );
  }

  async run(): Promise<LogPosition | null> {
    const { source, log, head, from, end, onPosition } = this.#options;
    const chain = this.#chain;
    await this.#vouch(chain.take().reached);
    const first = Math.floor(from.size / TILE_WIDTH);
    // The entry behind the last one names it.
    const reads = Math.min(head.size, end + 1);
    const bundles = readAhead(DEPTH, (n) => {
      const index = first + n;
      if (index * TILE_WIDTH >= reads) return null;
      return Promise.all([
        readTile(source, log.name, { level: 'entries', index }, head.size),
        readTile(source, log.name, { level: 0, index }, head.size),
      ]);
    });
    let next = (await bundles.next()) ?? [null, null];
    while (chain.size < end) {
      const [bundle, tile] = next;
      // What was read is checked first, also where the next bundle cannot be read.
      const [following] = await Promise.allSettled([bundles.next()]);
      const behind = following.status === 'fulfilled' ? following.value : null;
      const before = chain.size;
      this.#tile = tile;
      if (!(await this.#takeBundle(bundle, tile, behind?.[0] ?? null))) return null;
      if (following.status === 'rejected') throw following.reason;
      next = behind ?? [null, null];
      await onPosition(chain.size - before, () => this.#position());
    }
    if (end === head.size && end > from.size) await this.#checkPartials();
    return this.#position();
  }

  #position(): LogPosition {
    const { size, receivedAt } = this.#chain;
    return { size, root: this.#chain.root(), leaf: this.#entries.leaf, receivedAt };
  }

  async #takeBundle(bundle: Uint8Array | null, tile: Uint8Array | null, next: Uint8Array | null): Promise<boolean> {
    const { log, head, end, findings, keeper } = this.#options;
    const begin = this.#chain.size;
    const index = Math.floor(begin / TILE_WIDTH);
    if (bundle === null) {
      const says = `the bundle with entry ${begin} of ${log.name}, which has ${head.size}, is not served`;
      findings.add('entry-missing', { log: log.name, index: begin }, says);
      return false;
    }
    const width = tileWidth(0, index, head.size);
    if (!this.#entries.walk({ bundle, tile, next }, Math.min(end, index * TILE_WIDTH + width))) return false;
    const { tiles, reached } = this.#chain.take();
    for (const complete of tiles) await this.#takeTile(complete, complete.level === 0 ? tile : undefined);
    await this.#vouch(reached);
    if (this.#chain.size === index * TILE_WIDTH + width) {
      const bytes = bundle.subarray(0, width * 75);
      keeper?.keep(tileOfLog(log.name, { level: 'entries', index, width }), bytes);
      await keeper?.settled();
    }
    return true;
  }

  /** @param served undefined: to be asked for */
  async #takeTile(made: CompleteTile, served: Uint8Array | null | undefined): Promise<void> {
    const { source, log, head, findings, keeper } = this.#options;
    const { level, index, hashes, root } = made;
    const found = served === undefined ? await readTile(source, log.name, { level, index }, head.size) : served;
    const stored: StoredTile[] =
      found === null ? [] : [{ level, index, root, hashes: found.subarray(0, hashes.length) }];
    checkTiles(log.name, [made], stored, findings);
    keeper?.keep(tileOfLog(log.name, { level, index, width: hashes.length / 32 }), hashes);
  }

  /** The last tiles of all levels, as wide as the checkpoint makes them. */
  async #checkPartials(): Promise<void> {
    for (const [level, hashes] of this.#chain.partials().entries()) {
      if (hashes.length === 0) continue;
      const index = Math.floor(Math.floor(this.#chain.size / TILE_WIDTH ** level) / TILE_WIDTH);
      await this.#takeTile({ level, index, hashes, root: hashes }, level === 0 ? this.#tile : undefined);
    }
  }

  /** Compares what vouches for the sizes that were reached. */
  async #vouch(reached: readonly TreeAt[]): Promise<void> {
    const last = reached.at(-1);
    if (last === undefined) return;
    const { vouchers, known, findings, log } = this.#options;
    const checkpoints = this.#take(vouchers.checkpoints, 'checkpoints', last.size);
    const leaves = this.#take(vouchers.leaves, 'leaves', last.size);
    await this.#check.check({ checkpoints, leaves }, reached);
    for (const { size, root } of this.#take(known, 'known', last.size)) {
      const now = reached.find((each) => each.size === size)?.root ?? root;
      if (equalBytes(now, root)) continue;
      const says = `the first ${size} entries of ${log.name} are not those that were last audited`;
      findings.add('log-rewritten', { log: log.name }, says);
    }
  }

  /** What of a list was not looked at yet, up to a size. */
  #take<T extends { readonly size: number }>(
    list: readonly T[],
    name: 'checkpoints' | 'leaves' | 'known',
    size: number,
  ): T[] {
    const begin = this.#taken[name];
    let end = begin;
    while ((list[end]?.size ?? Number.POSITIVE_INFINITY) <= size) end++;
    this.#taken[name] = end;
    return list.slice(begin, end);
  }
}

function sizesOf(positions: readonly { readonly size: number }[]): number[] {
  return positions.map(({ size }) => size);
}
