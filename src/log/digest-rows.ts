// Takes records out of rows of the digest index. Its lock is held meanwhile.

import type { Transaction } from '../store/database.ts';
import type { EntryPlace } from './blocks/blocks.ts';
import { RECORD_BYTES, recordsOf } from './blocks/digest-record.ts';
import { rowsAt } from './digest-nodes.ts';

/** Rows that are read at a time. */
const PAGE_ROWS = 256;

/** The runs that a row is made of, or rows that are meant. */
export interface Span {
  readonly oldest: number;
  readonly newest: number;
}

export const ALL_RUNS: Span = { oldest: 0, newest: Number.MAX_SAFE_INTEGER };

/** Where a row is, at some depth. */
export interface RowPlace {
  readonly node: number;
  readonly id: number;
}

export interface IndexRow extends RowPlace {
  readonly records: Uint8Array;
}

/** SQL of where a part begins in bytes that have parts one after the other: each with its `length`, in the order of `n`. */
export const PART_BEGIN = '(1 + sum(length) OVER (ORDER BY n) - length)::int';

export const FIRST_ROW: RowPlace = { node: -1, id: 0 };

export interface Removal {
  /** Entries of these logs alone are removed. */
  readonly logs: readonly number[];
  readonly span: Span;
  readonly isGone: (place: EntryPlace) => boolean;
}

/**
 * Removes records from some rows at a depth behind a row.
 * @returns how many were there, and the last row; null: all were looked at
 */
export async function removeRecords(
  tx: Transaction,
  depth: number,
  { node, id }: RowPlace,
  { logs, span, isGone }: Removal,
): Promise<{ readonly removed: number; readonly last: RowPlace | null }> {
  const names = logs.map((log) => {
    const name = Buffer.alloc(4);
    name.writeUInt32BE(log);
    return name;
  });
  const { rows } = await tx.query<IndexRow>({
    name: `rows-with-logs-${depth}`,
    text: `SELECT node, id, records FROM ${rowsAt(depth)} AS r
           WHERE (node, id) > ($1, $2::bigint) AND oldest <= $4 AND newest >= $3
             AND EXISTS (SELECT FROM unnest($5::bytea[]) AS l (name) WHERE position(l.name IN records) > 0)
           ORDER BY node, id LIMIT ${PAGE_ROWS}`,
    values: [node, id, span.oldest, span.newest, names],
  });
  let removed = 0;
  const changed = rows.flatMap((row) => {
    const kept = withoutRecords(row.records, isGone);
    removed += (row.records.length - kept.length) / RECORD_BYTES;
    return kept.length === row.records.length ? [] : [{ ...row, records: kept }];
  });
  await storeRows(tx, depth, changed);
  return { removed, last: rows.length < PAGE_ROWS ? null : (rows.at(-1) ?? null) };
}

export function withoutRecords(records: Uint8Array, isGone: Removal['isGone']): Uint8Array {
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const place of recordsOf(records)) {
    if (!isGone(place)) kept.push(records.subarray(at, at + RECORD_BYTES));
    at += RECORD_BYTES;
  }
  return Buffer.concat(kept);
}

/** Stores rows of a depth as they are now; those that are empty go. */
export async function storeRows(tx: Transaction, depth: number, rows: readonly IndexRow[]): Promise<void> {
  if (rows.length === 0) return;
  const [table, where] =
    depth === 0
      ? ['digest_runs', 'r.bucket = v.node AND r.run = v.id']
      : ['merged_digests', `r.depth = ${depth} AND r.node = v.node AND r.id = v.id`];
  const places = (of: readonly IndexRow[]): unknown[] => [of.map(({ node }) => node), of.map(({ id }) => id)];
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
     FROM (SELECT node, id, length, ${PART_BEGIN} AS at
           FROM unnest($1::bigint[], $2::bigint[], $3::int[]) WITH ORDINALITY AS u (node, id, length, n)) AS v
     WHERE ${where}`,
    [...places(left), lengths, Buffer.concat(left.map(({ records }) => records))],
  );
}
