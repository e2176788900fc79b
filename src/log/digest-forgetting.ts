// Takes digests out of their index, as erasure does: with them anybody could confirm a guess of the content.

import type { Transaction } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';
import type { ErasedEntry } from './block-erasure.ts';
import type { EntryPlace } from './blocks/blocks.ts';
import { PREFIX_BYTES, prefixOf, RECORD_BYTES, recordsOf, writePlace } from './blocks/digest-record.ts';
import { MAX_DEPTH, nodesBelow, rowsAt } from './digest-nodes.ts';
import { DIGEST_RUNS_LOCK } from './digest-runs.ts';
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
  if (rest.length <= FEW && rest.every(({ digest }) => digest !== null)) {
    for (const { index, digest } of rest) {
      if (digest !== null) await removeOne(tx, { log: log.id, index }, digest);
    }
    return;
  }
  // Digests are put into runs in the order in which a log got them. If that was otherwise, some are missing there.
  const [first, last] = [rest[0], rest.at(-1)];
  if (first === undefined || last === undefined) return;
  const [low, high] = [await spanOf(tx, log, first), await spanOf(tx, log, last)];
  const removed = await removeFrom(tx, range, { oldest: low.oldest, newest: high.newest });
  if (removed < rest.length) await removeFrom(tx, range, ALL_RUNS);
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

/** The runs that a row is made of. */
interface Span {
  readonly oldest: number;
  readonly newest: number;
}

const ALL_RUNS: Span = { oldest: 0, newest: Number.MAX_SAFE_INTEGER };

interface Row {
  readonly node: number;
  readonly id: number;
  readonly records: Uint8Array;
}

/** Rows with this text where a digest would be; parameters: the node at depth 0, those below it, the text. */
const ROWS_WITH = `
  SELECT 0 AS depth, bucket AS node, run AS id, run AS oldest, run AS newest, records FROM digest_runs
  WHERE bucket = $1 AND position($3::bytea IN records) > 0
  UNION ALL
  SELECT m.depth, m.node, m.id, m.oldest, m.newest, m.records
  FROM unnest($2::bigint[]) WITH ORDINALITY AS n (node, depth) JOIN merged_digests m ON m.depth = n.depth AND m.node = n.node
  WHERE position($3::bytea IN m.records) > 0`;

function findRecord({ log, index }: EntryPlace, digest: Uint8Array): unknown[] {
  const record = Buffer.alloc(RECORD_BYTES);
  record.set(digest.subarray(1, PREFIX_BYTES));
  writePlace(record, 0, log, index);
  return [digest[0], nodesBelow(prefixOf(digest)), record];
}

/** The runs in which an entry may be; all, unless its digest is found. */
async function spanOf(tx: Transaction, log: Log, { index, digest }: ErasedEntry): Promise<Span> {
  if (digest === null) return ALL_RUNS;
  const { rows } = await tx.query<{ oldest: number | null; newest: number | null }>(
    `SELECT min(oldest) AS oldest, max(newest) AS newest FROM (${ROWS_WITH}) AS r`,
    findRecord({ log: log.id, index }, digest),
  );
  const [{ oldest, newest } = { oldest: null, newest: null }] = rows;
  return oldest === null || newest === null ? ALL_RUNS : { oldest, newest };
}

async function removeOne(tx: Transaction, place: EntryPlace, digest: Uint8Array): Promise<void> {
  const isIt = ({ log, index }: EntryPlace): boolean => log === place.log && index === place.index;
  const { rows } = await tx.query<Row & { depth: number }>(ROWS_WITH, findRecord(place, digest));
  for (const row of rows) await store(tx, row.depth, [{ ...row, records: without(row.records, isIt) }]);
}

/** Removes the entries of a range from the rows of some runs. @returns how many were there */
async function removeFrom(
  tx: Transaction,
  { log, begin, end }: { readonly log: number; readonly begin: number; readonly end: number },
  { oldest, newest }: Span,
): Promise<number> {
  const named = Buffer.alloc(4);
  named.writeUInt32BE(log);
  let removed = 0;
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    for (let [node, id]: (number | null)[] = [-1, 0]; node !== null; ) {
      const page: { rows: Row[] } = await tx.query<Row>(
        `SELECT node, id, records FROM ${rowsAt(depth)} AS r
         WHERE (node, id) > ($1, $2::bigint) AND oldest <= $4 AND newest >= $3 AND position($5::bytea IN records) > 0
         ORDER BY node, id LIMIT ${PAGE_ROWS}`,
        [node, id, oldest, newest, named],
      );
      const changed = page.rows.flatMap((row) => {
        const kept = without(row.records, (place) => place.log === log && place.index >= begin && place.index < end);
        removed += (row.records.length - kept.length) / RECORD_BYTES;
        return kept.length === row.records.length ? [] : [{ ...row, records: kept }];
      });
      await store(tx, depth, changed);
      ({ node, id } = page.rows.at(-1) ?? { node: null, id: null });
    }
  }
  return removed;
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

async function store(tx: Transaction, depth: number, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const [table, where] =
    depth === 0
      ? ['digest_runs', 'r.bucket = v.node AND r.run = v.id']
      : ['merged_digests', `r.depth = ${depth} AND r.node = v.node AND r.id = v.id`];
  const places = (of: readonly Row[]): unknown[] => [of.map(({ node }) => node), of.map(({ id }) => id)];
  const empty = rows.filter(({ records }) => records.length === 0);
  if (empty.length > 0) {
    await tx.query(
      `DELETE FROM ${table} r USING unnest($1::bigint[], $2::bigint[]) AS v (node, id) WHERE ${where}`,
      places(empty),
    );
  }
  const left = rows.filter(({ records }) => records.length > 0);
  if (left.length === 0) return;
  const lengths = left.map(({ records }) => records.length);
  await tx.query(
    `UPDATE ${table} r SET records = substring($4::bytea FROM v.at FOR v.length)
     FROM (SELECT node, id, length, (1 + sum(length) OVER (ORDER BY n) - length)::int AS at
           FROM unnest($1::bigint[], $2::bigint[], $3::int[]) WITH ORDINALITY AS u (node, id, length, n)) AS v
     WHERE ${where}`,
    [...places(left), lengths, Buffer.concat(left.map(({ records }) => records))],
  );
}
