import { sha256Into } from '#sha256';
import { aheadOfDatabase, type TimeSource } from '../clock/clock.ts';
import { equalBytes, writeU64 } from '../core/bytes.ts';
import type { CompactRange, CompleteTile } from '../core/compact-range.ts';
import { ENTRY_SIZE } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import type { Defer, Queryable, Transaction } from '../store/database.ts';
import type { AnsweredHeads } from './answered.ts';
import { recordEvents, siftEvents } from './events.ts';
import { readCompactRange } from './head.ts';
import type { Appended, Effects, Log } from './log.ts';
import { type PartitionMap, partitionRange } from './partition-map.ts';
import { nonceSizeOf, type Prepared, partOf, strideOf } from './prepared.ts';
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
  async take(tx: Queryable, partitions: PartitionMap, log: number, size: number): Promise<CompactRange> {
    const range = this.#ranges.get(log);
    if (range !== undefined && range.size > size) throw setBack(`log ${log} has ${size} entries and had ${range.size}`);
    this.#ranges.delete(log);
    return range?.size === size ? range : readCompactRange(tx, partitions, log, size);
  }

  keep(log: number, range: CompactRange): void {
    this.#ranges.set(log, range);
    // 24 kB each at the most.
    if (this.#ranges.size > 2_000) for (const oldest of this.#ranges.keys()) return void this.#ranges.delete(oldest);
  }
}

export interface Sequencing {
  readonly effects: Effects;
  readonly partitions: PartitionMap;
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
 * @throws AntequemError `clock-skew`, `log-damaged`, `database-set-back`; SegmentFull
 */
export async function sequence(
  tx: Transaction,
  defer: Defer,
  log: Log,
  submissions: readonly Prepared[],
  { effects, partitions, ranges, rollback, answered }: Sequencing,
): Promise<{ outcomes: Outcome[]; settle: () => Promise<void> }> {
  rollback.demand();
  const locked = await tx.query<HeadRow>({
    name: 'lock-head',
    text: `SELECT size, root, last_leaf, last_received_at, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS database_now
           FROM logs WHERE id = $1 FOR NO KEY UPDATE`,
    values: [log.id],
  });
  const head = locked.rows[0];
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
    partitions,
  );
  const sifted = await siftEvents(
    tx,
    log,
    submissions.map(({ submission }, i) => (outcomes[i] === undefined ? submission.drafts : [])),
    head.database_now,
    partitions,
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
  const range = await rollback.watch(ranges.take(tx, partitions, log.id, head.size));
  const batch = chain(log, fresh, count, { lastLeaf: head.last_leaf, receivedAt, range });
  const segments = await takeSegments(tx, partitions, log.id, head.size, count);

  let next = head.size;
  for (const prepared of fresh) {
    const { length } = prepared.submission.drafts;
    const last = batch.record(next + length - 1 - head.size);
    placed.set(prepared, { index: next, count: length, receivedAt, digest: last.digest, leafHash: last.leafHash });
    next += length;
  }
  for (const statement of [
    insertEntries(tx, log, head.size, receivedAt, segments, batch),
    insertTiles(tx, log.id, batch.tiles),
    recordKeys(
      tx,
      log,
      fresh.map(({ submission }) => submission),
      [...placed.values()],
      now,
    ),
    recordEvents(
      tx,
      log,
      sifted.flatMap(({ keys }) => keys),
      head.size,
      head.database_now,
    ),
    tx.query({
      name: 'move-head',
      text: 'UPDATE logs SET size = $2, root = $3, last_leaf = $4, last_received_at = $5 WHERE id = $1',
      values: [log.id, next, range.root(), batch.record(count - 1).leafHash, receivedAt],
    }),
  ]) {
    defer(statement);
  }

  const root = range.root();
  return {
    outcomes: decided(),
    settle: () => {
      ranges.keep(log.id, range);
      return settleAt(next, root);
    },
  };
}

/** Whether a head may continue what was answered; of a larger one only a proof could tell. */
function reaches(head: Mark, answered: Mark): boolean {
  return head.size > answered.size || (head.size === answered.size && equalBytes(head.root, answered.root));
}

function missing(): never {
  throw new AntequemError('internal', 'a submission was given no place');
}

interface Batch {
  readonly nonceSize: number;
  /** As of {@link Prepared}, leaf hashes filled in. */
  readonly records: Buffer;
  /** All payloads, one after the other. */
  readonly payloads: Uint8Array;
  /** Where in them the payload of each entry begins. */
  readonly offsets: Int32Array;
  /** Bytes of each payload; −1: none. */
  readonly lengths: Int32Array;
  readonly tiles: readonly CompleteTile[];
  /** Digest and leaf hash of entry i. */
  record(i: number): { digest: Uint8Array; leafHash: Uint8Array };
}

/** The part of the work that depends on the place: the chain of leaf hashes and the tree. */
function chain(
  log: Log,
  fresh: readonly Prepared[],
  count: number,
  head: { lastLeaf: Uint8Array; receivedAt: number; range: CompactRange },
): Batch {
  const nonceSize = nonceSizeOf(log);
  const stride = strideOf(nonceSize);
  const records = Buffer.concat(fresh.map((prepared) => prepared.records));
  const leaf = Buffer.alloc(1 + ENTRY_SIZE);
  leaf[1] = 0x01;
  writeU64(leaf, 2, head.receivedAt);
  leaf.set(head.lastLeaf, 10);
  const tiles: CompleteTile[] = [];
  for (let end = stride; end <= records.length; end += stride) {
    const at = end - 32;
    records.copy(leaf, 42, at - 32, at);
    sha256Into(leaf, records, at);
    records.copy(leaf, 10, at, end);
    head.range.append(new Uint8Array(records.subarray(at, end)), (tile) => tiles.push(tile));
  }

  const offsets = new Int32Array(count);
  const lengths = new Int32Array(count);
  const payloads: Uint8Array[] = [];
  let i = 0;
  let offset = 0;
  for (const { submission } of fresh) {
    for (const { payload } of submission.drafts) {
      offsets[i] = offset;
      lengths[i] = payload?.length ?? -1;
      if (payload !== null) {
        payloads.push(payload);
        offset += payload.length;
      }
      i++;
    }
  }
  return {
    nonceSize,
    records,
    payloads: Buffer.concat(payloads, offset),
    offsets,
    lengths,
    tiles,
    record: (n) => ({
      digest: new Uint8Array(records.subarray(n * stride, n * stride + 32)),
      leafHash: new Uint8Array(records.subarray((n + 1) * stride - 32, (n + 1) * stride)),
    }),
  };
}

/** The segment of each index of [begin, begin + count). */
async function takeSegments(
  tx: Transaction,
  partitions: PartitionMap,
  log: number,
  begin: number,
  count: number,
): Promise<Int32Array> {
  const segments = new Int32Array(count);
  for (let index = begin; index < begin + count; ) {
    const end = Math.min(partitionRange(index).end, begin + count);
    segments.fill(await partitions.take(tx, log, index), index - begin, end - begin);
    index = end;
  }
  return segments;
}

// One bytea taken apart over unnest carries 282,000 rows a second at 1,000 rows a commit, COPY 238,000, arrays of bytea
// 170,000: there is next to nothing to escape, parse or look up per row.
async function insertEntries(
  tx: Transaction,
  log: Log,
  first: number,
  receivedAt: number,
  segments: Int32Array,
  batch: Batch,
): Promise<void> {
  await tx.query({
    name: `insert-entries-${batch.nonceSize}`,
    text: `INSERT INTO entries (segment, log, index, received_at, digest, nonce, commitment, leaf_hash, payload)
           SELECT e.segment, $1::int, $2::bigint + n - 1, $3::bigint,
                  substring($4::bytea FROM r::int FOR 32), substring($4::bytea FROM r::int + 32 FOR ${batch.nonceSize}),
                  substring($4::bytea FROM r::int + ${32 + batch.nonceSize} FOR 32),
                  substring($4::bytea FROM r::int + ${64 + batch.nonceSize} FOR 32),
                  CASE WHEN e.length >= 0 THEN substring($5::bytea FROM e.at + 1 FOR e.length) END
           FROM (SELECT *, (n - 1) * ${96 + batch.nonceSize} + 1 AS r
                 FROM unnest($6::int[], $7::int[], $8::int[]) WITH ORDINALITY AS u (segment, at, length, n)) AS e`,
    values: [
      log.id,
      first,
      receivedAt,
      batch.records,
      batch.payloads,
      array(segments),
      array(batch.offsets),
      array(batch.lengths),
    ],
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

function array(numbers: Int32Array | number[]): string {
  return `{${numbers.join(',')}}`;
}
