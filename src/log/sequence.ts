import { sha256Into } from '#sha256';
import { aheadOfDatabase, type TimeSource } from '../clock/clock.ts';
import { equalBytes, writeU64 } from '../core/bytes.ts';
import type { CompactRange, CompleteTile } from '../core/compact-range.ts';
import { ENTRY_SIZE } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import type { Defer, Queryable, Transaction } from '../store/database.ts';
import type { AnsweredHeads } from './answered.ts';
import type { StoredContent } from './block.ts';
import { blockValues, INSERT_BLOCKS } from './blocks.ts';
import { insertDigests } from './digest-index.ts';
import { PREFIX_BYTES } from './digest-record.ts';
import { recordEvents, siftEvents } from './events.ts';
import { blocksOf, type EntryRun, readTail } from './fresh-blocks.ts';
import { readCompactRange } from './head.ts';
import type { Appended, Effects, Log } from './log.ts';
import { contentsOf, nonceSizeOf, type Prepared, partOf } from './prepared.ts';
import type { Mark } from './published.ts';
import { findReplays, type Outcome, recordKeys } from './replay.ts';
import { type RollbackState, setBack } from './rollback.ts';

/**
 * One jump forward would spoil a log's times for as long as it was.
 * @throws AntequemError `clock-skew`
 */
export function demandClocksAgree(time: TimeSource, databaseNow: number): void {
  const ahead = aheadOfDatabase(time, databaseNow);
  if (Math.abs(ahead) <= MAX_CLOCK_SKEW_MS) return;
  throw new AntequemError(
    'clock-skew',
    `the clocks of service and database are ${Math.round(Math.abs(ahead) / 1000)} s apart: set them right`,
  );
}

/** The compact range that a process remembers of each log it appends to; valid only while the row has the same size. */
export class CompactRanges {
  readonly #ranges = new Map<number, CompactRange>();

  /**
   * The range at this size: remembered, else read. It is taken out, and the caller puts it back once it is durable.
   * @throws AntequemError `database-set-back` where the log was larger before
   */
  async take(tx: Queryable, log: number, size: number): Promise<CompactRange> {
    const range = this.#ranges.get(log);
    if (range !== undefined && range.size > size) throw setBack(`log ${log} has ${size} entries and had ${range.size}`);
    this.#ranges.delete(log);
    return range?.size === size ? range : readCompactRange(tx, log, size);
  }

  /** The size of a log whose range is remembered, else null. */
  sizeOf(log: number): number | null {
    return this.#ranges.get(log)?.size ?? null;
  }

  keep(log: number, range: CompactRange): void {
    this.#ranges.set(log, range);
    // 24 kB each at the most.
    if (this.#ranges.size > 2_000) for (const oldest of this.#ranges.keys()) return void this.#ranges.delete(oldest);
  }
}

export interface Sequencing {
  readonly effects: Effects;
  readonly ranges: CompactRanges;
  readonly rollback: RollbackState;
  /** Where it is recorded what is answered; null: nowhere. */
  readonly answered: AnsweredHeads | null;
}

interface HeadRow {
  size: number;
  root: Uint8Array;
  last_leaf: Uint8Array;
  last_received_at: number;
  database_now: number;
}

/**
 * Gives submissions their indices, within a transaction that holds the lock of the log's row until it ends: chains,
 * hashes, stores entries and tiles, moves the head. One outcome a submission: an idempotency key used for another
 * request spoils its own submission only. What it writes is deferred to the commit; call `settle` of what is returned
 * once that took place.
 * @throws AntequemError `clock-skew`, `log-damaged`, `database-set-back`
 */
export async function sequence(
  tx: Transaction,
  defer: Defer,
  log: Log,
  submissions: readonly Prepared[],
  { effects, ranges, rollback, answered }: Sequencing,
): Promise<{ outcomes: Outcome[]; settle: () => Promise<void> }> {
  rollback.demand();
  // Sent together; the second one sees what others had committed when the lock was granted.
  const [, heads] = await Promise.all([
    tx.query({ name: 'lock-log', text: 'SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', values: [log.id] }),
    tx.query<HeadRow>({
      name: 'read-head',
      text: `SELECT size, root, last_leaf, last_received_at, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS database_now
             FROM log_states WHERE id = $1`,
      values: [log.id],
    }),
  ]);
  const head = heads.rows[0];
  if (head === undefined) throw new AntequemError('log-damaged', `log ${log.name} has no row any more`);
  const newest = (await answered?.newest(log.origin)) ?? null;
  if (newest !== null && !reaches(head, newest)) {
    rollback.note();
    throw setBack(`${log.origin} has ${head.size} entries, and ${newest.size} were answered`);
  }
  demandClocksAgree(effects, head.database_now);
  const now = effects.now();

  const outcomes = await findReplays(
    tx,
    log,
    submissions.map(({ submission }) => submission),
    now,
  );
  const sifted = await siftEvents(
    tx,
    log,
    submissions.map(({ submission }, i) => (outcomes[i] === undefined ? submission.drafts : [])),
    head.database_now,
  );
  const parts = submissions.map((prepared, i) => partOf(prepared, sifted[i]?.fresh ?? null));
  const fresh = parts.filter(({ submission }, i) => outcomes[i] === undefined && submission.drafts.length > 0);
  const count = fresh.reduce((sum, { submission }) => sum + submission.drafts.length, 0);

  const placed = new Map<Prepared, Appended>();
  const decided = (): Outcome[] =>
    outcomes.map(
      (outcome, i) =>
        outcome ?? {
          appended: placed.get(parts[i] ?? missing()) ?? null,
          fresh: (sifted[i] ?? missing()).fresh,
          repeats: sifted[i]?.repeats ?? missing(),
        },
    );
  // The process that appended what is repeated may have been killed before it recorded that.
  const settleAt = async (size: number, root: Uint8Array): Promise<void> =>
    answered?.record(log.origin, { size, root: new Uint8Array(root) });
  if (count === 0) return { outcomes: decided(), settle: () => settleAt(head.size, head.root) };

  const receivedAt = Math.max(now, head.last_received_at);
  const range = await rollback.watch(ranges.take(tx, log.id, head.size));
  const batch = chain(fresh, count, { lastLeaf: head.last_leaf, receivedAt, range });
  const size = head.size + count;
  const tail = completesTile(head.size, size) ? await readTail(tx, log.id, head.size) : null;

  let next = head.size;
  for (const prepared of fresh) {
    const { length } = prepared.submission.drafts;
    const digest = prepared.submission.drafts.at(-1)?.digest ?? missing();
    const leafHash = leafAt(batch.leaves, next + length - 1 - head.size);
    placed.set(prepared, { index: next, count: length, receivedAt, digest, leafHash });
    next += length;
  }
  const blocks = blocksOf(entryRun(log, fresh, head.size, receivedAt, batch), tail);
  if (tail !== null) defer(() => removeBlocks(tx, log.id, tail.replaced));
  defer(() => insertTiles(tx, log.id, batch.tiles));
  const keyed = fresh.map(({ submission }) => submission);
  defer(() => recordKeys(tx, log, keyed, [...placed.values()], now));
  const events = sifted.flatMap(({ keys }) => keys);
  defer(() => recordEvents(tx, log, events, head.size, head.database_now));
  const root = range.root();
  const added = [next, root, leafAt(batch.leaves, count - 1), receivedAt];
  defer(() =>
    tx.query({
      name: 'store-run',
      text: STORE_RUN,
      values: [...blockValues(log.id, blocks), log.id, head.size, prefixesOf(fresh, count), ...added],
    }),
  );
  if (batch.tiles.length > 0) defer(() => removeHeads(tx, log.id, head.size, next));

  return {
    outcomes: decided(),
    settle: () => {
      ranges.keep(log.id, range);
      return settleAt(next, root);
    },
  };
}

/** What each commit writes, in one statement: each costs both sides some 50 µs. */
const STORE_RUN = `WITH stored AS (${INSERT_BLOCKS}), indexed AS (${insertDigests(12)})
  INSERT INTO log_heads (log, size, root, last_leaf, last_received_at) VALUES ($1, $15, $16, $17, $18)`;

/** Whether a head may continue what was answered; of a larger one only a proof could tell. */
function reaches(head: Mark, answered: Mark): boolean {
  return head.size > answered.size || (head.size === answered.size && equalBytes(head.root, answered.root));
}

function missing(): never {
  throw new AntequemError('internal', 'a submission was given no place');
}

interface Batch {
  /** Leaf hashes, one after the other. */
  readonly leaves: Buffer;
  readonly tiles: readonly CompleteTile[];
}

/** The part of the work that depends on the place: the chain of leaf hashes and the tree. */
function chain(
  fresh: readonly Prepared[],
  count: number,
  head: { lastLeaf: Uint8Array; receivedAt: number; range: CompactRange },
): Batch {
  const leaves = Buffer.allocUnsafe(HASH_SIZE * count);
  const leaf = Buffer.alloc(1 + ENTRY_SIZE);
  leaf[1] = 0x01;
  writeU64(leaf, 2, head.receivedAt);
  leaf.set(head.lastLeaf, 10);
  let at = 0;
  for (const { commitments } of fresh) {
    const source = Buffer.from(commitments.buffer, commitments.byteOffset, commitments.byteLength);
    for (let from = 0; from < source.length; from += HASH_SIZE) {
      source.copy(leaf, 42, from, from + HASH_SIZE);
      sha256Into(leaf, leaves, at);
      leaves.copy(leaf, 10, at, at + HASH_SIZE);
      at += HASH_SIZE;
    }
  }
  return { leaves, tiles: grow(head.range, leaves) };
}

/** Adds leaf hashes to the tree, a whole tile at a time where one begins. @returns the tiles that became complete */
function grow(range: CompactRange, leaves: Buffer): CompleteTile[] {
  const tiles: CompleteTile[] = [];
  const onTile = (tile: CompleteTile): void => void tiles.push(tile);
  for (let at = 0; at < leaves.length; ) {
    const whole = range.size % TILE_WIDTH === 0 && leaves.length - at >= TILE_WIDTH * HASH_SIZE;
    const end = at + (whole ? TILE_WIDTH : 1) * HASH_SIZE;
    if (whole) range.appendTile(leaves.subarray(at, end), onTile);
    else range.append(new Uint8Array(leaves.subarray(at, end)), onTile);
    at = end;
  }
  return tiles;
}

function leafAt(leaves: Buffer, position: number): Uint8Array {
  return new Uint8Array(leaves.subarray(HASH_SIZE * position, HASH_SIZE * (position + 1)));
}

function prefixesOf(fresh: readonly Prepared[], count: number): Buffer {
  const prefixes = Buffer.allocUnsafe(PREFIX_BYTES * count);
  let end = 0;
  for (const { submission } of fresh) {
    for (const { digest } of submission.drafts) {
      for (let at = 0; at < PREFIX_BYTES; at++) prefixes[end++] = digest[at] ?? 0;
    }
  }
  return prefixes;
}

/** Whether a log that grows so completes the tile that was open. */
function completesTile(from: number, to: number): boolean {
  return from % TILE_WIDTH !== 0 && Math.floor(from / TILE_WIDTH) < Math.floor(to / TILE_WIDTH);
}

function entryRun(log: Log, fresh: readonly Prepared[], first: number, receivedAt: number, batch: Batch): EntryRun {
  const nonceSize = nonceSizeOf(log);
  const contents: StoredContent[] = [];
  const packed = new Map<number, Uint8Array>();
  for (const prepared of fresh) {
    for (const [at, content] of prepared.packed) packed.set(first + contents.length + at, content);
    for (const content of contentsOf(prepared.submission.drafts, prepared.nonces, nonceSize)) contents.push(content);
  }
  const times = Array<number>(contents.length).fill(receivedAt);
  return { first, times, contents, leaves: batch.leaves, nonceSize, size: first + contents.length, packed };
}

async function removeBlocks(tx: Transaction, log: number, firsts: readonly number[]): Promise<void> {
  await tx.query({
    name: 'remove-blocks',
    text: 'DELETE FROM blocks WHERE log = $1 AND first = ANY ($2::bigint[])',
    values: [log, firsts],
  });
}

/** The heads from the beginning of the tile that was open at `from` up to before `to`: those of earlier tiles are gone. */
async function removeHeads(tx: Transaction, log: number, from: number, to: number): Promise<void> {
  await tx.query({
    name: 'remove-heads',
    text: 'DELETE FROM log_heads WHERE log = $1 AND size >= $2 AND size < $3',
    values: [log, from - (from % TILE_WIDTH), to],
  });
}

async function insertTiles(tx: Transaction, log: number, tiles: readonly CompleteTile[]): Promise<void> {
  if (tiles.length === 0) return;
  await tx.query({
    name: 'insert-tiles',
    text: `INSERT INTO tiles (log, level, index, root, hashes)
           SELECT $1::int, level, index, substring($4::bytea FROM n::int * 32 - 31 FOR 32), substring($5::bytea FROM n::int * 8192 - 8191 FOR 8192)
           FROM unnest($2::smallint[], $3::bigint[]) WITH ORDINALITY AS t (level, index, n)`,
    values: [
      log,
      array(tiles.map((tile) => tile.level)),
      array(tiles.map((tile) => tile.index)),
      Buffer.concat(tiles.map((tile) => tile.root)),
      Buffer.concat(tiles.map((tile) => tile.hashes)),
    ],
  });
}

function array(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`;
}
