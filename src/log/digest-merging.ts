// Puts rows of the digest index together: once a node has many, the oldest of them are dealt out to the nodes below it. Each
// node by itself, in a transaction of its own: killed at any moment, nothing is lost or doubled.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, type Queryable, type Transaction, transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';
import { RECORD_BYTES } from './blocks/digest-record.ts';
import { CHILDREN, MAX_DEPTH, NODE_BITS } from './digest-nodes.ts';
import { DIGEST_RUNS_LOCK } from './digest-runs.ts';

/** Rows that are put together. */
export const MERGED_ROWS = 16;
/** Records of a row at most: of one digest there may be any number. */
const ROW_RECORDS = 1_024;
/** Milliseconds between two steps, unless the step took less. */
const MAX_PAUSE_MS = 100;

interface Node {
  readonly depth: number;
  readonly node: number;
}

/** Rows of a node as they are taken out of it. */
interface TakenRow {
  readonly id: number;
  readonly oldest: number;
  readonly newest: number;
  readonly records: Uint8Array;
}

export interface Merging {
  /** How many rows are put together. */
  readonly rows?: number;
  /** Asked before each step. */
  readonly isInterrupted?: () => boolean;
}

/**
 * Merges as long as a node has enough rows. Ends early where another process works on the index.
 * @returns how often rows were put together
 */
export async function mergeRuns(
  database: Database,
  { rows = MERGED_ROWS, isInterrupted = () => false }: Merging = {},
): Promise<number> {
  let merged = 0;
  const full = await fullBuckets(database, rows);
  for (let next = full.pop(); next !== undefined && !isInterrupted(); next = full.pop()) {
    const begun = performance.now();
    const below = await mergeNode(database, next, rows);
    if (below === 'locked') return merged;
    if (below === null) continue;
    merged++;
    // A node that had more than were taken is looked at again.
    full.push(next, ...below);
    await sleep(Math.min(performance.now() - begun, MAX_PAUSE_MS));
  }
  return merged;
}

async function fullBuckets(db: Queryable, most: number): Promise<Node[]> {
  const { rows } = await db.query<{ bucket: number }>(
    `SELECT bucket FROM digest_runs GROUP BY bucket HAVING count(*) >= $1 ORDER BY bucket DESC`,
    [most],
  );
  return rows.map(({ bucket }) => ({ depth: 0, node: bucket }));
}

/** @returns the nodes below that have enough rows now; null: this one had not */
async function mergeNode(database: Database, { depth, node }: Node, most: number): Promise<Node[] | 'locked' | null> {
  return transaction(database, async (tx) => {
    if (!(await tryLock(tx, DIGEST_RUNS_LOCK))) return 'locked';
    const rows = depth === 0 ? await takeRuns(tx, node, most) : await takeMerged(tx, { depth, node }, most);
    if (rows.length === 0) return null;
    await insertBelow(tx, { depth, node }, rows);
    return depth + 1 < MAX_DEPTH ? fullBelow(tx, { depth, node }, most) : [];
  });
}

async function takeRuns(tx: Transaction, bucket: number, most: number): Promise<TakenRow[]> {
  const { rows } = await tx.query<TakenRow>({
    name: 'take-digest-runs',
    text: `WITH oldest AS MATERIALIZED (SELECT run FROM digest_runs WHERE bucket = $1 ORDER BY run LIMIT $2)
           DELETE FROM digest_runs WHERE bucket = $1 AND run <= (SELECT max(run) FROM oldest HAVING count(*) = $2)
           RETURNING run AS id, run AS oldest, run AS newest, records`,
    values: [bucket, most],
  });
  return rows;
}

async function takeMerged(tx: Transaction, { depth, node }: Node, most: number): Promise<TakenRow[]> {
  const { rows } = await tx.query<TakenRow>({
    name: 'take-merged-digests',
    text: `WITH first AS MATERIALIZED (SELECT id FROM merged_digests WHERE depth = $1 AND node = $2 ORDER BY id LIMIT $3)
           DELETE FROM merged_digests
           WHERE depth = $1 AND node = $2 AND id <= (SELECT max(id) FROM first HAVING count(*) = $3)
           RETURNING id, oldest, newest, records`,
    values: [depth, node, most],
  });
  return rows;
}

async function insertBelow(tx: Transaction, { depth, node }: Node, taken: readonly TakenRow[]): Promise<void> {
  const rows = taken.toSorted((a, b) => a.id - b.id);
  const parts = dealtOut(
    depth,
    rows.map(({ records }) => records),
  ).flatMap((records, child) => cut(records).map((part) => ({ node: node * CHILDREN + child, part })));
  await tx.query({
    name: 'insert-merged-digests',
    text: `INSERT INTO merged_digests (depth, node, oldest, newest, records)
           SELECT $1, node, $2, $3, substring($4::bytea FROM at FOR length) FROM (
             SELECT node, length, (1 + sum(length) OVER (ORDER BY n) - length)::int AS at
             FROM unnest($5::bigint[], $6::int[]) WITH ORDINALITY AS u (node, length, n)) AS p`,
    values: [
      depth + 1,
      Math.min(...rows.map(({ oldest }) => oldest)),
      Math.max(...rows.map(({ newest }) => newest)),
      Buffer.concat(parts.map(({ part }) => part)),
      parts.map((each) => each.node),
      parts.map(({ part }) => part.length),
    ],
  });
}

/** Records of a node by the node below it that they belong to, in the order in which they were. */
function dealtOut(depth: number, rows: readonly Uint8Array[]): Buffer[] {
  const byte = Math.floor((NODE_BITS * depth) / 8);
  const shift = depth % 2 === 0 ? NODE_BITS : 0;
  const ends = new Uint32Array(CHILDREN);
  const childOf = (records: Uint8Array, at: number): number => ((records[at + byte] ?? 0) >> shift) % CHILDREN;
  const each = (visit: (records: Uint8Array, at: number, child: number) => void): void => {
    for (const records of rows) {
      for (let at = 0; at + RECORD_BYTES <= records.length; at += RECORD_BYTES)
        visit(records, at, childOf(records, at));
    }
  };
  each((_, _at, child) => {
    ends[child] = (ends[child] ?? 0) + RECORD_BYTES;
  });
  const children = Array.from(ends, (length) => Buffer.allocUnsafe(length));
  ends.fill(0);
  each((records, at, child) => {
    const end = ends[child] ?? 0;
    children[child]?.set(records.subarray(at, at + RECORD_BYTES), end);
    ends[child] = end + RECORD_BYTES;
  });
  return children;
}

function cut(records: Buffer): Buffer[] {
  const bytes = ROW_RECORDS * RECORD_BYTES;
  return Array.from({ length: Math.ceil(records.length / bytes) }, (_, i) =>
    records.subarray(i * bytes, (i + 1) * bytes),
  );
}

async function fullBelow(tx: Transaction, { depth, node }: Node, most: number): Promise<Node[]> {
  const { rows } = await tx.query<{ node: number }>({
    name: 'full-digest-nodes',
    text: `SELECT node FROM merged_digests WHERE depth = $1 AND node >= $2 AND node < $3
           GROUP BY node HAVING count(*) >= $4`,
    values: [depth + 1, node * CHILDREN, (node + 1) * CHILDREN, most],
  });
  return rows.map((row) => ({ depth: depth + 1, node: row.node }));
}
