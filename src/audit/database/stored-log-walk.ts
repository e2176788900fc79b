// Walks one log from its first entry to its head, a page at a time: the next page is on its way while one is checked.

import { equalBytes } from '../../core/bytes.ts';
import type { CompactRange } from '../../core/compact-range.ts';
import type { TileArchive } from '../../log/archived-tile.ts';
import type { BlockArchive } from '../../log/blocks/archived-block.ts';
import { receivedAt as storedTime } from '../../log/blocks/blocks.ts';
import type { Log } from '../../log/log.ts';
import type { Queryable, Transaction } from '../../store/database.ts';
import { beginningOf, EntryChain, type LogPosition } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import type { LogKeys } from '../checks/log-keys.ts';
import type { RoundAt } from '../checks/rounds.ts';
import { checkTiles } from '../checks/tiles.ts';
import { VoucherCheck, vouchedSizes } from '../checks/vouchers.ts';
import { type PageBlock, pageEnd, readBlockContent, readPage } from './block-page.ts';
import { EntryWalk } from './entry-walk.ts';
import type { ErasureRecord } from './erasures.ts';
import type { StoredLog } from './stored-log.ts';
import { readStoredTiles } from './stored-tiles.ts';
import { checkNothingBeyond, coveredSize, FloorFinder, type PageVouchers, readVouchers } from './vouchers.ts';

export interface StoredLogWalkOptions {
  readonly db: Transaction;
  readonly log: StoredLog;
  readonly findings: Findings;
  /** Where old contents of entries lie; null: nowhere. */
  readonly archive: BlockArchive | null;
  /** Where old tiles lie; null: they are compared by their roots alone. */
  readonly tiles: TileArchive | null;
  readonly keys: LogKeys;
  /** What is recorded as erased. */
  readonly erased: ErasureRecord;
  /** The newest round; null: there is none. */
  readonly newest: RoundAt | null;
  /** Where to go on, with the tree there; null: from the first entry. */
  readonly from: { readonly position: LogPosition; readonly range: CompactRange } | null;
  /** Called with every payload, in the order of the entries. */
  readonly onPayload?: (index: number, payload: Buffer) => void;
  /** Called with the digest of every entry that was not erased; it is overwritten afterwards. */
  readonly onDigest: (index: number, digest: Uint8Array) => void;
  /** Called after each page; `position` is null where something was wrong so far. */
  readonly onPage: (page: { readonly entries: number; readonly position: LogPosition | null }) => Promise<void>;
}

export interface StoredLogWalk {
  readonly erased: number;
  readonly byRetention: number;
  readonly open: number;
  readonly digests: number;
  readonly firstDigest: number | null;
  readonly checkpoints: number;
}

/** What is read of a log for one page. */
interface Loading {
  readonly begin: number;
  readonly end: number;
  readonly page: Promise<PageBlock[]>;
  readonly tiles: ReturnType<typeof readStoredTiles>;
  readonly vouchers: Promise<PageVouchers>;
}

/** What is checked of a log while its pages come. */
interface Checks {
  readonly chain: EntryChain;
  readonly entries: EntryWalk;
  readonly floors: FloorFinder;
  readonly vouching: VoucherCheck;
  /** How many findings there were before. */
  readonly before: number;
}

/** Walks a log; what is wrong is added to the findings. */
export async function walkStoredLog(options: StoredLogWalkOptions): Promise<StoredLogWalk> {
  const { db, log, findings, from, keys, erased, onPayload, onDigest, newest, archive } = options;
  const before = findings.count;
  const { size: begin, leaf, receivedAt } = from?.position ?? beginningOf(log);
  const vouching = new VoucherCheck({ name: log.name, origin: log.origin, keys }, findings, begin);
  const chain = new EntryChain(log.name, findings, receivedAt, from?.range ?? null);
  const covered = begin === 0 ? 0 : await coveredSize(db, log.id, begin);
  const floors = new FloorFinder(covered, newest);
  const entries = new EntryWalk({
    log,
    findings,
    chain,
    leaf,
    erased,
    onDigest,
    contentOf: (block) => readBlockContent(db, log.id, block, archive),
    ...(onPayload === undefined ? {} : { onPayload }),
  });
  const checks: Checks = { chain, entries, floors, vouching, before };
  if (covered < begin) await checkUncovered(options, checks, begin, covered);
  if (await walkPages(options, checks)) {
    if (log.size === 0) await checkEmpty(options, checks);
    checkHead(log, checks, findings);
  }
  await checkNoTileBeyond(db, log, log.size, findings);
  await checkNothingBeyond(db, log, log.size, findings);
  return { ...entries.counts, checkpoints: vouching.count };
}

/** An entry that an earlier audit read and no round had then: rounds may have closed without it since. */
async function checkUncovered(
  { db, log, newest }: StoredLogWalkOptions,
  checks: Checks,
  begin: number,
  covered: number,
) {
  const { chain } = checks;
  const vouchers = await readVouchers(db, log.id, begin, begin);
  const [floor] = new FloorFinder(covered, newest).of(vouchers);
  const receivedAt = await storedTime(db, { log: log.id, index: covered });
  if (receivedAt !== null && floor !== undefined) chain.checkAge(receivedAt, floor);
}

/** @returns whether it came to the head */
async function walkPages(
  options: StoredLogWalkOptions,
  { chain, entries, floors, vouching, before }: Checks,
): Promise<boolean> {
  const { log, findings, onPage } = options;
  let next = load(options, chain.size);
  while (next !== null) {
    const { begin, end, page, tiles, vouchers }: Loading = next;
    next = load(options, end);
    const [blocks, stored, vouched] = await Promise.all([page, tiles, vouchers]);
    chain.expect(vouchedSizes(vouched), floors.of(vouched));
    await entries.walk(blocks, stored, end);
    const { tiles: made, reached } = chain.take();
    checkTiles(log.name, made, stored, findings);
    await vouching.check(vouched, reached);
    const { size, receivedAt } = chain;
    const position = findings.count === before ? { size, root: chain.root(), leaf: entries.leaf, receivedAt } : null;
    await onPage({ entries: size - begin, position });
    if (size === end) continue;
    await settle(next);
    const says = `entry ${size} of ${log.name}, which has ${log.size}, is missing`;
    findings.add('entry-missing', { log: log.name, index: size }, says);
    return false;
  }
  return true;
}

/** Starts to read the page from `begin` on; null where there is none. */
function load({ db, log, tiles }: StoredLogWalkOptions, begin: number): Loading | null {
  if (begin >= log.size) return null;
  const end = pageEnd(begin, log.size);
  const loading = {
    begin,
    end,
    page: readPage(db, log.id, begin, end),
    tiles: readStoredTiles(db, log, [begin, end], tiles),
    vouchers: readVouchers(db, log.id, begin, end),
  };
  // Looked at when its turn comes: until then a failure must not count as unhandled.
  for (const promise of [loading.page, loading.tiles, loading.vouchers]) promise.catch(() => {});
  return loading;
}

async function settle(loading: Loading | null): Promise<void> {
  if (loading !== null) await Promise.allSettled([loading.page, loading.tiles, loading.vouchers]);
}

async function checkEmpty({ db, log }: StoredLogWalkOptions, { chain, vouching }: Checks): Promise<void> {
  const vouchers = await readVouchers(db, log.id, 0, 0);
  await vouching.check(vouchers, [{ size: 0, root: chain.root(), receivedAt: 0 }]);
}

function checkHead(log: StoredLog, { chain, entries }: Checks, findings: Findings): void {
  const wrong = [
    equalBytes(log.root, chain.root()) ? [] : ['root'],
    equalBytes(log.lastLeaf, entries.leaf) ? [] : ['last leaf hash'],
    log.lastReceivedAt === chain.receivedAt ? [] : ['time of the last entry'],
  ].flat();
  if (wrong.length === 0) return;
  const says = `${wrong.join(', ')} in the head of ${log.name} ${wrong.length === 1 ? 'is' : 'are'} not what its entries make`;
  findings.add('head-differs', { log: log.name }, says);
}

/** Looks for tiles that a log of this size does not have. */
async function checkNoTileBeyond(db: Queryable, log: Log, size: number, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ level: number; index: number }>(
    `SELECT level, index FROM tiles
     WHERE log = $1 AND (index < 0 OR index >= div($2::numeric, 256::numeric ^ (level + 1))) ORDER BY level, index LIMIT 1`,
    [log.id, size],
  );
  const [tile] = rows;
  if (tile === undefined) return;
  const says = `${log.name} has tile ${tile.level}/${tile.index}, and with ${size} entries is too short for it`;
  findings.add('log-cut-off', { log: log.name, index: size }, says);
}
