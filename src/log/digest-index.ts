// Where digests were logged. The index holds prefixes, which are hints: the entries tell.

import { equalBytes, toHex } from '../core/bytes.ts';
import { type Database, type Queryable, type Transaction, transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';
import type { BlockArchive } from './blocks/archived-block.ts';
import { type EntryPlace, readBlocks } from './blocks/blocks.ts';
import { LOG_AT, PREFIX_BYTES, RECORD_BYTES, recordsOf, writePlace } from './blocks/digest-record.ts';
import type { Log } from './log.ts';

/** Held by what rewrites runs. */
export const DIGEST_RUNS_LOCK = 'digest runs';
/** So many digests, or commits, are put into a run. */
export const RUN_DIGESTS = 65_536;
const RUN_BATCHES = 8_192;
/** Rows of runs read at a time. */
const PAGE_ROWS = 64;
/** Entries that are looked at together. */
const PLACES = 256;

/** Adds a row; its parameters are those from this number on: log, first, prefixes. */
export const insertDigests = (parameter: number): string =>
  `INSERT INTO digest_batches (log, first, prefixes) VALUES ($${parameter}, $${parameter + 1}, $${parameter + 2})`;

/** Adds the digests of entries from `first` on, {@link PREFIX_BYTES} of each. */
export async function indexDigests(tx: Transaction, log: number, first: number, prefixes: Uint8Array): Promise<void> {
  await tx.query({ name: 'index-digests', text: insertDigests(1), values: [log, first, prefixes] });
}

/**
 * Puts what was appended lately into runs, as far as there is enough of it. Returns how many runs were made.
 * @param digests how many a run takes at least
 */
export async function makeRuns(database: Database, digests = RUN_DIGESTS): Promise<number> {
  for (let runs = 0; ; runs++) {
    const made = await transaction(database, async (tx) => {
      if (!(await tryLock(tx, DIGEST_RUNS_LOCK))) return false;
      const { rows } = await tx.query<TakenBatch>({
        name: 'take-digest-batches',
        text: `WITH oldest AS MATERIALIZED (
                 SELECT id, sum(length(prefixes) / ${PREFIX_BYTES}) OVER (ORDER BY id) AS digests, row_number() OVER (ORDER BY id) AS n
                 FROM (SELECT id, prefixes FROM digest_batches ORDER BY id LIMIT ${RUN_BATCHES}) AS b)
               DELETE FROM digest_batches
               WHERE id <= (SELECT min(id) FROM oldest WHERE digests >= $1 OR n = ${RUN_BATCHES})
               RETURNING id, log, first, prefixes`,
        values: [digests],
      });
      if (rows.length > 0) await insertRun(tx, rows);
      return rows.length > 0;
    });
    if (!made) return runs;
  }
}

interface TakenBatch {
  readonly id: number;
  readonly log: number;
  readonly first: number;
  readonly prefixes: Uint8Array;
}

/** By the buckets of their digests. Done here: in the database it took most of the time that appending takes there. */
async function insertRun(tx: Transaction, batches: readonly TakenBatch[]): Promise<void> {
  const taken = batches.toSorted((a, b) => a.id - b.id);
  const records = recordsByBucket(taken);
  await tx.query({
    name: 'insert-digest-run',
    text: `INSERT INTO digest_runs (bucket, run, records)
           SELECT bucket - 1, $1, substring($2::bytea FROM at FOR length) FROM (
             SELECT bucket, length, (1 + sum(length) OVER (ORDER BY bucket) - length)::int AS at
             FROM unnest($3::int[]) WITH ORDINALITY AS l (length, bucket)) AS b
           WHERE length > 0`,
    values: [taken.at(-1)?.id, Buffer.concat(records), records.map(({ length }) => length)],
  });
}

/** The records of all digests by their first byte, in the order of the batches. What was erased is under zeros, as it was. */
function recordsByBucket(batches: readonly TakenBatch[]): Buffer[] {
  const ends = new Uint32Array(256);
  for (const { prefixes } of batches) {
    for (let at = 0; at < prefixes.length; at += PREFIX_BYTES) {
      const bucket = prefixes[at] ?? 0;
      ends[bucket] = (ends[bucket] ?? 0) + RECORD_BYTES;
    }
  }
  const buckets = Array.from(ends, (length) => Buffer.allocUnsafe(length));
  ends.fill(0);
  for (const { log, first, prefixes } of batches) {
    for (let at = 0; at < prefixes.length; at += PREFIX_BYTES) {
      const bucket = prefixes[at] ?? 0;
      const records = buckets[bucket];
      const end = ends[bucket] ?? 0;
      if (records === undefined) continue;
      writePlace(records, end, log, first + at / PREFIX_BYTES);
      for (let byte = 0; byte < LOG_AT; byte++) records[end + byte] = prefixes[at + 1 + byte] ?? 0;
      ends[bucket] = end + RECORD_BYTES;
    }
  }
  return buckets;
}

/** Where a digest was logged, in these logs or (null) in all, in no order, at most `limit` places. */
export async function locateDigest(
  db: Queryable,
  digest: Uint8Array,
  logs: readonly string[] | null,
  limit: number,
  archive: BlockArchive | null = null,
): Promise<{ log: string; index: number; receivedAt: number }[]> {
  const { rows } = await db.query<{ id: number; origin: string }>(
    'SELECT id, origin FROM logs WHERE $1::text[] IS NULL OR name = ANY ($1)',
    [logs],
  );
  const origins = new Map(rows.map(({ id, origin }) => [id, origin]));
  const found: { log: string; index: number; receivedAt: number }[] = [];
  const seen = new Set<string>();
  for await (const hints of hintsOf(db, digest)) {
    const places = hints.filter(({ log, index }) => origins.has(log) && !seen.has(`${log}/${index}`));
    for (let at = 0; at < places.length; at += PLACES) {
      const some = places.slice(at, at + PLACES);
      for (const [i, block] of (await readBlocks(db, some)).entries()) {
        const { log, index } = some[i] ?? { log: 0, index: 0 };
        const held = (await block?.opened(archive))?.digest(index) ?? null;
        if (block === null || held === null || !equalBytes(held, digest)) continue;
        seen.add(`${log}/${index}`);
        found.push({ log: origins.get(log) ?? '', index, receivedAt: block.receivedAt(index) });
        if (found.length === limit) return found;
      }
    }
  }
  return found;
}

/** Entries whose digests begin as this one, some at a time. */
async function* hintsOf(db: Queryable, digest: Uint8Array): AsyncGenerator<EntryPlace[]> {
  const prefix = Buffer.from(digest.subarray(0, PREFIX_BYTES));
  // One query for both, so that what is put into a run meanwhile is seen in one of them.
  const { rows } = await db.query<Hint>(
    `SELECT log, first, prefixes AS bytes, NULL AS run FROM digest_batches WHERE position($1::bytea IN prefixes) > 0
     UNION ALL
     (SELECT NULL, NULL, records, run FROM digest_runs WHERE bucket = $2 AND position($3::bytea IN records) > 0
      ORDER BY run LIMIT ${PAGE_ROWS})`,
    [prefix, prefix[0], prefix.subarray(1)],
  );
  let last: number | null = null;
  for (const row of rows) {
    last = row.run ?? last;
    yield placesOf(row, prefix);
  }
  while (last !== null) {
    const page: { rows: { records: Uint8Array; run: number }[] } = await db.query(
      `SELECT records, run FROM digest_runs WHERE bucket = $1 AND run > $2 AND position($3::bytea IN records) > 0
       ORDER BY run LIMIT ${PAGE_ROWS}`,
      [prefix[0], last, prefix.subarray(1)],
    );
    last = page.rows.at(-1)?.run ?? null;
    for (const { records } of page.rows) yield placesOf({ bytes: records, log: null, first: null, run: 0 }, prefix);
  }
}

interface Hint {
  readonly bytes: Uint8Array;
  readonly run: number | null;
  readonly log: number | null;
  readonly first: number | null;
}

function placesOf({ bytes, log, first }: Hint, prefix: Buffer): EntryPlace[] {
  const places: EntryPlace[] = [];
  if (log === null || first === null) {
    for (const record of recordsOf(bytes)) {
      if (record.prefix === prefix.readUIntBE(1, LOG_AT)) places.push(record);
    }
    return places;
  }
  const prefixes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = prefixes.indexOf(prefix); at >= 0; at = prefixes.indexOf(prefix, at + 1)) {
    if (at % PREFIX_BYTES === 0) places.push({ log, index: first + at / PREFIX_BYTES });
  }
  return places;
}

/** Which of these digests a log holds, in hex. Reads the index once, however many they are. */
export async function heldDigests(
  db: Queryable,
  log: Log,
  digests: readonly Uint8Array[],
  archive: BlockArchive | null = null,
): Promise<Set<string>> {
  const wanted = Map.groupBy(digests, (digest) => prefixOf(digest));
  const held = new Set<string>();
  let places: { index: number; among: Uint8Array[] }[] = [];
  const look = async (): Promise<void> => {
    const blocks = await readBlocks(
      db,
      places.map(({ index }) => ({ log: log.id, index })),
    );
    for (const [i, block] of blocks.entries()) {
      const { index, among } = places[i] ?? { index: 0, among: [] };
      const digest = (await block?.opened(archive))?.digest(index) ?? null;
      if (digest !== null && among.some((each) => equalBytes(each, digest))) held.add(toHex(digest));
    }
    places = [];
  };
  for await (const { index, prefix } of indexOf(db, log.id, new Set(digests.map((digest) => digest[0] ?? 0)))) {
    const among = wanted.get(prefix);
    if (among === undefined || among.every((digest) => held.has(toHex(digest)))) continue;
    places.push({ index, among });
    if (places.length === PLACES) await look();
  }
  await look();
  return held;
}

/** All that the index has of a log in these buckets. */
async function* indexOf(
  db: Queryable,
  log: number,
  buckets: ReadonlySet<number>,
): AsyncGenerator<{ readonly index: number; readonly prefix: number }> {
  // Batches first: what is put into a run meanwhile is seen twice, and nothing is missed.
  const { rows } = await db.query<{ first: number; prefixes: Uint8Array }>(
    'SELECT first, prefixes FROM digest_batches WHERE log = $1',
    [log],
  );
  for (const { first, prefixes } of rows) {
    for (let at = 0; at < prefixes.length; at += PREFIX_BYTES) {
      yield { index: first + at / PREFIX_BYTES, prefix: prefixOf(prefixes, at) };
    }
  }
  for (const bucket of buckets) {
    for (let last: number | undefined = 0; last !== undefined; ) {
      const page: { rows: { run: number; records: Uint8Array }[] } = await db.query(
        `SELECT run, records FROM digest_runs WHERE bucket = $1 AND run > $2 ORDER BY run LIMIT ${PAGE_ROWS}`,
        [bucket, last],
      );
      last = page.rows.at(-1)?.run;
      for (const { records } of page.rows) {
        for (const record of recordsOf(records)) {
          if (record.log === log) yield { index: record.index, prefix: bucket * 2 ** (8 * LOG_AT) + record.prefix };
        }
      }
    }
  }
}

/** A row of the index that is longer was not written by the service. */
const MAX_ROW_BYTES = 4 << 20;

/**
 * All that the index has, a hint at a time, in no order; prefixes as {@link prefixOf} has them. None of zeros: most of those
 * are of erased entries.
 */
export async function scanIndex(
  db: Queryable,
  onHint: (log: number, index: number, prefix: number) => void,
): Promise<void> {
  for (let last = -1; ; ) {
    const { rows } = await db.query<{ id: number; log: number; first: number; prefixes: Uint8Array }>(
      `SELECT id, log, first, prefixes FROM digest_batches WHERE id > $1 AND length(prefixes) <= ${MAX_ROW_BYTES}
       ORDER BY id LIMIT ${PAGE_ROWS}`,
      [last],
    );
    for (const { id, log, first, prefixes } of rows) {
      last = id;
      for (let at = 0; at + PREFIX_BYTES <= prefixes.length; at += PREFIX_BYTES) {
        const prefix = prefixOf(prefixes, at);
        if (prefix !== 0) onHint(log, first + at / PREFIX_BYTES, prefix);
      }
    }
    if (rows.length < PAGE_ROWS) break;
  }
  for (let [bucket, run] = [-1, 0]; ; ) {
    const { rows } = await db.query<{ bucket: number; run: number; records: Uint8Array }>(
      `SELECT bucket, run, records FROM digest_runs WHERE (bucket, run) > ($1, $2) AND length(records) <= ${MAX_ROW_BYTES}
       ORDER BY bucket, run LIMIT ${PAGE_ROWS}`,
      [bucket, run],
    );
    for (const row of rows) {
      [bucket, run] = [row.bucket, row.run];
      for (const { log, index, prefix } of recordsOf(row.records)) {
        const whole = bucket * 2 ** (8 * LOG_AT) + prefix;
        if (whole !== 0) onHint(log, index, whole);
      }
    }
    if (rows.length < PAGE_ROWS) return;
  }
}

/** The first {@link PREFIX_BYTES} of a digest as a number. @param at where it begins */
export function prefixOf(bytes: Uint8Array, at = 0): number {
  const high = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
  const low = ((bytes[at + 3] ?? 0) << 16) | ((bytes[at + 4] ?? 0) << 8) | (bytes[at + 5] ?? 0);
  return high * 2 ** 24 + low;
}
