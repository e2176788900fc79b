// Takes digests out of their index, as erasure does: with them anybody could confirm a guess of the content. Few are taken out
// at once. Of many, what lies in rows that were put together is noted, and taken out when a run of retention ends: each of
// those rows has hints of many ages, so that each step of the run would write most of them anew.

import { setTimeout as sleep } from 'node:timers/promises';
import { contains, united } from '../core/index-ranges.ts';
import { type Database, type Transaction, transaction } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';
import type { ErasedEntry } from './block-erasure.ts';
import type { EntryPlace } from './blocks/blocks.ts';
import { PREFIX_BYTES, prefixOf, RECORD_BYTES, writePlace } from './blocks/digest-record.ts';
import { MAX_DEPTH, nodesBelow, rowsBelow } from './digest-nodes.ts';
import {
  ALL_RUNS,
  FIRST_ROW,
  type IndexRow,
  type Removal,
  type RowPlace,
  removeRecords,
  type Span,
  storeRows,
  withoutRecords,
} from './digest-rows.ts';
import { DIGEST_RUNS_LOCK } from './digest-runs.ts';
import type { Log } from './log.ts';

/** So few digests are looked for one by one. */
const FEW = 32;
/** Noted ranges that are taken out together. */
const RANGES = 1_000;
/** Milliseconds between two pages, unless the page took less. */
const MAX_PAUSE_MS = 100;

/**
 * Takes out digests, or notes what {@link forgetNoted} takes out.
 * @param gone the entries among [begin, end) that were erased just now; none of the range is left
 */
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
  if (rest.length <= FEW && rest.every(({ digest }) => digest !== null)) {
    for (const { index, digest } of rest) {
      if (digest !== null) await removeOne(tx, { log: log.id, index }, digest);
    }
    return;
  }
  const [first, last] = [rest[0], rest.at(-1)];
  if (first === undefined || last === undefined) return;
  // Digests are put into runs in the order in which a log got them.
  const [low, high] = [await spanOf(tx, log, first), await spanOf(tx, log, last)];
  const span = { oldest: low.oldest, newest: high.newest };
  const isGone = ({ log: id, index }: EntryPlace): boolean => id === log.id && index >= begin && index < end;
  const removed = await removeAt(tx, 0, { logs: [log.id], span, isGone });
  if (removed === rest.length) return;
  await tx.query(
    `INSERT INTO forgotten_digests (log, first, behind, count, oldest, newest) VALUES ($1, $2, $3, $4, $5, $6)`,
    [log.id, begin, end, rest.length - removed, span.oldest, span.newest],
  );
}

interface NotedRange extends Span {
  readonly id: number;
  readonly log: number;
  readonly first: number;
  readonly behind: number;
  readonly count: number;
}

/**
 * Takes out what was noted, some rows in a transaction. Killed or stopped at any moment, the next call takes out the rest.
 * @param signal stops it
 */
export async function forgetNoted(database: Database, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { rows } = await database.query<NotedRange>(
      'SELECT id, log, first, behind, count, oldest, newest FROM forgotten_digests ORDER BY id LIMIT $1',
      [RANGES],
    );
    if (rows.length === 0) return;
    const span = {
      oldest: Math.min(...rows.map(({ oldest }) => oldest)),
      newest: Math.max(...rows.map(({ newest }) => newest)),
    };
    const removal = { ...removalOf(rows), span };
    const removed = await removeAll(database, removal, signal);
    // Some were elsewhere, or an earlier call that was killed took them out.
    if (removed < rows.reduce((sum, { count }) => sum + count, 0)) {
      await removeAll(database, { ...removal, span: ALL_RUNS }, signal);
    }
    if (signal.aborted) return;
    await database.query('DELETE FROM forgotten_digests WHERE id = ANY ($1::bigint[])', [rows.map(({ id }) => id)]);
  }
}

function removalOf(noted: readonly NotedRange[]): Pick<Removal, 'logs' | 'isGone'> {
  const ranges = new Map(
    [...Map.groupBy(noted, ({ log }) => log)].map(([log, some]) => [
      log,
      united(some.map(({ first, behind }) => [first, behind])),
    ]),
  );
  return {
    logs: [...ranges.keys()],
    isGone: ({ log, index }) => contains(ranges.get(log) ?? [], index),
  };
}

/** From the top to the bottom: what moves down meanwhile is met there. @returns how many there were */
async function removeAll(database: Database, removal: Removal, signal: AbortSignal): Promise<number> {
  let removed = 0;
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    for (let after: RowPlace | null = FIRST_ROW; after !== null && !signal.aborted; ) {
      const begun = performance.now();
      const from: RowPlace = after;
      const page: Awaited<ReturnType<typeof removeRecords>> = await transaction(database, async (tx) => {
        await takeLock(tx, DIGEST_RUNS_LOCK);
        return removeRecords(tx, depth, from, removal);
      });
      removed += page.removed;
      after = page.last;
      await sleep(Math.min(performance.now() - begun, MAX_PAUSE_MS));
    }
  }
  return removed;
}

async function removeAt(tx: Transaction, depth: number, removal: Removal): Promise<number> {
  let removed = 0;
  for (let after: RowPlace | null = FIRST_ROW; after !== null; ) {
    const page: Awaited<ReturnType<typeof removeRecords>> = await removeRecords(tx, depth, after, removal);
    removed += page.removed;
    after = page.last;
  }
  return removed;
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

/** Rows with this text where a digest would be; parameters: the node at depth 0, those below it, the text. */
const ROWS_WITH = `
  SELECT 0 AS depth, bucket AS node, run AS id, run AS oldest, run AS newest, records FROM digest_runs
  WHERE bucket = $1 AND position($3::bytea IN records) > 0
  UNION ALL
  SELECT m.depth, m.node, m.id, m.oldest, m.newest, m.records
  FROM ${rowsBelow('$2')}
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
  const { rows } = await tx.query<IndexRow & { depth: number }>(ROWS_WITH, findRecord(place, digest));
  for (const row of rows) await storeRows(tx, row.depth, [{ ...row, records: withoutRecords(row.records, isIt) }]);
}
