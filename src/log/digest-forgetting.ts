// Takes digests out of their index, as erasure does: with them anybody could confirm a guess of the content.

import type { Transaction } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';
import type { ErasedEntry } from './block-erasure.ts';
import { PREFIX_BYTES, RECORD_BYTES, recordsOf, writePlace } from './blocks/digest-record.ts';
import { DIGEST_RUNS_LOCK } from './digest-index.ts';
import type { Log } from './log.ts';

/** So few digests are looked for one by one. */
const FEW = 4;
/** Rows of runs that are read at a time. */
const PAGE_ROWS = 256;

/** @param gone the entries among [begin, end) that were erased just now; none of the range is left */
export async function forgetDigests(
  tx: Transaction,
  log: Log,
  [begin, end]: readonly [number, number],
  gone: readonly ErasedEntry[],
): Promise<void> {
  if (gone.length === 0) return;
  await takeLock(tx, DIGEST_RUNS_LOCK);
  const cleared = await clearBatches(tx, log, begin, end);
  const rest = gone.filter(({ index }) => !cleared.some(({ from, to }) => index >= from && index < to));
  const range = { log: log.id, begin, end };
  if (rest.length <= FEW) {
    for (const entry of rest)
      await removeFrom(tx, range, { ...(await runsOf(tx, log, entry)), bucket: entry.digest?.[0] });
    return;
  }
  // Digests are put into runs in the order in which a log got them. If that was otherwise, some are missing there.
  const [first, last] = [rest[0], rest.at(-1)];
  if (first === undefined || last === undefined) return;
  const low = await runsOf(tx, log, first);
  const high = await runsOf(tx, log, last);
  const removed = await removeFrom(tx, range, { from: low.from, to: high.to });
  if (removed < rest.length) await removeFrom(tx, range, { from: 0, to: Number.MAX_SAFE_INTEGER });
}

/** Zeros in the batches. @returns which entries they have */
async function clearBatches(
  tx: Transaction,
  log: Log,
  begin: number,
  end: number,
): Promise<{ readonly from: number; readonly to: number }[]> {
  const { rows } = await tx.query<{ from: number; to: number }>({
    name: 'clear-digest-batches',
    text: `UPDATE digest_batches b
           SET prefixes = overlay(prefixes PLACING decode(repeat('00', (${PREFIX_BYTES} * (c.high - c.low))::int), 'hex')
                                  FROM (${PREFIX_BYTES} * (c.low - b.first) + 1)::int)
           FROM (SELECT id, greatest(first, $2::bigint) AS low, least(first + length(prefixes) / ${PREFIX_BYTES}, $3::bigint) AS high
                 FROM digest_batches
                 WHERE log = $1 AND first < $3 AND first + length(prefixes) / ${PREFIX_BYTES} > $2) AS c
           WHERE b.id = c.id RETURNING c.low AS "from", c.high AS "to"`,
    values: [log.id, begin, end],
  });
  return rows;
}

interface Runs {
  readonly from: number;
  readonly to: number;
  /** Undefined: all. */
  readonly bucket?: number | undefined;
}

/** The run that has an entry; one that none has lies behind all. Of an entry without a digest: all runs. */
async function runsOf(tx: Transaction, log: Log, { index, digest }: ErasedEntry): Promise<Runs> {
  if (digest === null) return { from: 0, to: Number.MAX_SAFE_INTEGER };
  const record = Buffer.alloc(RECORD_BYTES);
  record.set(digest.subarray(1, PREFIX_BYTES));
  writePlace(record, 0, log.id, index);
  const { rows } = await tx.query<{ low: number | null; high: number | null }>(
    `SELECT min(run) AS low, max(run) AS high FROM digest_runs WHERE bucket = $1 AND position($2::bytea IN records) > 0`,
    [digest[0], record],
  );
  return { from: rows[0]?.low ?? Number.MAX_SAFE_INTEGER, to: rows[0]?.high ?? Number.MAX_SAFE_INTEGER };
}

/** Removes the entries of a range from some runs. @returns how many were there */
async function removeFrom(
  tx: Transaction,
  { log, begin, end }: { readonly log: number; readonly begin: number; readonly end: number },
  { from, to, bucket }: Runs,
): Promise<number> {
  const named = Buffer.alloc(4);
  named.writeUInt32BE(log);
  let removed = 0;
  for (let [after, run]: [number, number] = [bucket ?? 0, -1]; ; ) {
    const { rows } = await tx.query<{ bucket: number; run: number; records: Uint8Array }>(
      `SELECT bucket, run, records FROM digest_runs
       WHERE (bucket, run) > ($1, $2) AND bucket <= $3 AND run BETWEEN $4 AND $5 AND position($6::bytea IN records) > 0
       ORDER BY bucket, run LIMIT ${PAGE_ROWS} FOR UPDATE`,
      [after, run, bucket ?? 255, from, to, named],
    );
    const changed = rows.flatMap((row) => {
      const kept = without(row.records, (place) => place.log === log && place.index >= begin && place.index < end);
      removed += (row.records.length - kept.length) / RECORD_BYTES;
      return kept.length === row.records.length ? [] : [{ ...row, records: kept }];
    });
    await store(tx, changed);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return removed;
    [after, run] = [last.bucket, last.run];
  }
}

function without(records: Uint8Array, isGone: (place: { log: number; index: number }) => boolean): Uint8Array {
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const place of recordsOf(records)) {
    if (!isGone(place)) kept.push(records.subarray(at, at + RECORD_BYTES));
    at += RECORD_BYTES;
  }
  return Buffer.concat(kept);
}

async function store(
  tx: Transaction,
  rows: readonly { readonly bucket: number; readonly run: number; readonly records: Uint8Array }[],
): Promise<void> {
  if (rows.length === 0) return;
  const empty = rows.filter(({ records }) => records.length === 0);
  await tx.query(
    `DELETE FROM digest_runs r USING unnest($1::smallint[], $2::bigint[]) AS e (bucket, run)
     WHERE r.bucket = e.bucket AND r.run = e.run`,
    [empty.map(({ bucket }) => bucket), empty.map(({ run }) => run)],
  );
  const left = rows.filter(({ records }) => records.length > 0);
  if (left.length === 0) return;
  const lengths = left.map(({ records }) => records.length);
  await tx.query(
    `UPDATE digest_runs r SET records = substring($4::bytea FROM v.at FOR v.length)
     FROM (SELECT bucket, run, length, (1 + sum(length) OVER (ORDER BY n) - length)::int AS at
           FROM unnest($1::smallint[], $2::bigint[], $3::int[]) WITH ORDINALITY AS u (bucket, run, length, n)) AS v
     WHERE r.bucket = v.bucket AND r.run = v.run`,
    [
      left.map(({ bucket }) => bucket),
      left.map(({ run }) => run),
      lengths,
      Buffer.concat(left.map(({ records }) => records)),
    ],
  );
}
