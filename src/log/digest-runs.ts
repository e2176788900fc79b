// What was appended lately is put into runs of the digest index.

import { type Database, type Transaction, transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';
import { LOG_AT, PREFIX_BYTES, RECORD_BYTES, writePlace } from './blocks/digest-record.ts';
import { PART_BEGIN } from './digest-rows.ts';

/** Held by what rewrites runs. */
export const DIGEST_RUNS_LOCK = 'digest runs';
/** So many digests, or commits, are put into a run. */
export const RUN_DIGESTS = 65_536;
const RUN_BATCHES = 8_192;
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
           SELECT n - 1, $1, substring($2::bytea FROM at FOR length) FROM (
             SELECT n, length, ${PART_BEGIN} AS at FROM unnest($3::int[]) WITH ORDINALITY AS l (length, n)) AS b
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
