// Walks one log from its first entry to its head, a page at a time: the next one is on its way while one is looked at.

import { sha256 } from '#sha256';
import { equalBytes } from '../../core/bytes.ts';
import { CompactRange } from '../../core/compact-range.ts';
import type { Transaction } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import { checkNothingBeyond, readVouchers, sizesOf, VoucherCheck, type Vouchers } from './checkpoints.ts';
import { type EntryPage, PAGE_ENTRIES, readLarge, readPage } from './entry-pages.ts';
import { EntryWalk } from './entry-walk.ts';
import type { LogKeyActs } from './log-key-acts.ts';
import { type KnownKeys, type LogKeys, readKeys } from './log-keys.ts';
import type { AuditedLog } from './log-state.ts';
import { findEntry, Placement, type Run } from './placement.ts';
import { checkNoTileBeyond, checkTiles, readTiles } from './tiles.ts';

/** Up to where a log was found in order. */
export interface Position {
  readonly size: number;
  readonly root: Uint8Array;
  /** Leaf hash of the last entry; the log id where there is none. */
  readonly leaf: Uint8Array;
  readonly receivedAt: number;
}

export interface LogWalkOptions {
  readonly db: Transaction;
  readonly log: AuditedLog;
  readonly findings: Findings;
  readonly keys: KnownKeys;
  /** What `_system` tells of the keys of logs; null: it is what is walked. */
  readonly keyActs: LogKeyActs | null;
  /** Indices that are recorded as erased, ascending. */
  readonly erased: Float64Array;
  /** Where to go on, with the tree there; null: from the first entry. */
  readonly from: { readonly position: Position; readonly range: CompactRange } | null;
  /** Told every payload, in the order of the entries but for large ones, which come behind those of their page. */
  readonly onPayload?: (index: number, payload: Buffer) => void;
  /** Told after each page; `position` is null where something was wrong so far. */
  readonly onPage: (page: { readonly entries: number; readonly position: Position | null }) => Promise<void>;
}

export interface LogWalk {
  readonly entries: number;
  readonly erased: number;
  readonly digests: number;
  readonly firstDigest: number | null;
  readonly checkpoints: number;
  readonly keys: LogKeys;
  /** Whether it came to the head. */
  readonly complete: boolean;
}

/** What is read of a log for one page. */
interface Loading {
  readonly run: Run;
  readonly page: Promise<EntryPage>;
  readonly tiles: ReturnType<typeof readTiles>;
  readonly vouchers: Promise<Vouchers>;
}

/** Walks a log; what is wrong is added to the findings. */
export async function walkLog(options: LogWalkOptions): Promise<LogWalk> {
  const { db, log, findings, from } = options;
  const before = findings.count;
  const begin = from?.position.size ?? 0;
  const placement = await Placement.read(db, log, log.size, findings);
  const keys = await readKeys(db, log, options.keys, options.keyActs, findings);
  const vouching = new VoucherCheck(log, keys, findings, begin);
  const walk = new EntryWalk({
    log,
    findings,
    range: from?.range ?? CompactRange.restore(0, []),
    leaf: from?.position.leaf ?? log.logId,
    receivedAt: from?.position.receivedAt ?? 0,
    erased: options.erased,
    ...(options.onPayload === undefined ? {} : { onPayload: options.onPayload }),
  });
  const complete = await walkPages(options, walk, placement, vouching, before);
  if (complete) {
    if (log.size === 0) await checkEmpty(options, vouching);
    checkHead(log, walk, findings);
  }
  await checkNoTileBeyond(db, log, log.size, findings);
  await checkNothingBeyond(db, log, log.size, findings);
  return { entries: walk.size - begin, ...walk.counts, checkpoints: vouching.count, keys, complete };
}

async function walkPages(
  { db, log, findings, onPayload, onPage }: LogWalkOptions,
  walk: EntryWalk,
  placement: Placement,
  vouching: VoucherCheck,
  before: number,
): Promise<boolean> {
  let next = load(db, log, placement, walk.size);
  while (walk.size < log.size) {
    const loading = next;
    if (loading === null) {
      if (!(await relocate(db, log, placement, walk.size, null, findings))) return false;
      next = load(db, log, placement, walk.size);
      continue;
    }
    const { run } = loading;
    next = load(db, log, placement, run.end);
    const [page, tiles, vouchers] = await Promise.all([loading.page, loading.tiles, loading.vouchers]);
    const { tiles: made, reached, large } = walk.walk(page, sizesOf(vouchers));
    checkTiles(log, made, tiles, findings);
    await vouching.check(vouchers, reached);
    for await (const { entry, payload } of readLarge(db, { segment: run.segment, log: log.id }, large)) {
      if (payload !== null && equalBytes(sha256(payload), entry.digest)) onPayload?.(entry.index, payload);
      else {
        const says = `the payload of entry ${entry.index} of ${log.name} (${entry.length} bytes) does not have its digest`;
        findings.add('payload-differs', { log: log.name, index: entry.index }, says);
      }
    }
    const { size, leaf, receivedAt } = walk;
    const position = findings.count === before ? { size, root: walk.root(), leaf, receivedAt } : null;
    await onPage({ entries: size - run.begin, position });
    if (size === run.end) continue;
    await settle(next);
    if (!(await relocate(db, log, placement, size, run.segment, findings))) return false;
    next = load(db, log, placement, size);
  }
  await settle(next);
  return true;
}

/** Starts to read the page from `begin` on; null where there is none, or no segment is known for it. */
function load(db: Transaction, log: AuditedLog, placement: Placement, begin: number): Loading | null {
  const run = begin < log.size ? placement.run(begin, Math.min(begin + PAGE_ENTRIES, log.size)) : null;
  if (run === null) return null;
  const loading = {
    run,
    page: readPage(db, { ...run, log: log.id }),
    tiles: readTiles(db, log.id, begin, run.end),
    vouchers: readVouchers(db, log.id, begin, run.end),
  };
  // Looked at when its turn comes: until then a failure must not count as unhandled.
  for (const promise of [loading.page, loading.tiles, loading.vouchers]) promise.catch(() => {});
  return loading;
}

async function settle(loading: Loading | null): Promise<void> {
  if (loading !== null) await Promise.allSettled([loading.page, loading.tiles, loading.vouchers]);
}

/** An entry is not where it should be: finds it elsewhere, or notes that it is gone. */
async function relocate(
  db: Transaction,
  log: AuditedLog,
  placement: Placement,
  index: number,
  segment: number | null,
  findings: Findings,
): Promise<boolean> {
  const place = { log: log.name, index };
  const found = await findEntry(db, log.id, index);
  if (found === null || found === segment) {
    findings.add('entry-missing', place, `entry ${index} of ${log.name}, which has ${log.size}, is missing`);
    return false;
  }
  const says = `entry ${index} of ${log.name} lies in segment ${found}, its stretch names ${segment ?? 'none'}`;
  findings.add('stretch-differs', place, says);
  placement.correct(index, found);
  return true;
}

async function checkEmpty({ db, log }: LogWalkOptions, vouching: VoucherCheck): Promise<void> {
  const root = CompactRange.restore(0, []).root();
  await vouching.check(await readVouchers(db, log.id, 0, 0), [{ size: 0, root, receivedAt: 0 }]);
}

function checkHead(log: AuditedLog, walk: EntryWalk, findings: Findings): void {
  const wrong = [
    equalBytes(log.root, walk.root()) ? [] : ['root'],
    equalBytes(log.lastLeaf, walk.leaf) ? [] : ['last leaf hash'],
    log.lastReceivedAt === walk.receivedAt ? [] : ['time of the last entry'],
  ].flat();
  if (wrong.length === 0) return;
  const says = `${wrong.join(', ')} in the row of ${log.name} ${wrong.length === 1 ? 'is' : 'are'} not what its entries make`;
  findings.add('head-differs', { log: log.name }, says);
}
