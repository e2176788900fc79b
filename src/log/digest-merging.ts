// Puts rows of the digest index together: once a node has many, the oldest of them are dealt out to the nodes below it. Each
// node by itself, in a transaction of its own: killed at any moment, nothing is lost or doubled.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, type Queryable, type Transaction, transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';
import { RECORD_BYTES } from './blocks/digest-record.ts';
import { CHILDREN, MAX_DEPTH, NODE_BITS } from './digest-nodes.ts';
import { type IndexRow, PART_BEGIN, type Span } from './digest-rows.ts';
import { DIGEST_RUNS_LOCK } from './digest-runs.ts';

/** Rows that are put together. */
const MERGED_ROWS = 32;
/** Nodes whose rows are put together in one transaction. */
const NODES = 8;
/** Records of a row at most: of one digest there may be any number. */
const ROW_RECORDS = 1_024;
/** Milliseconds between two steps, unless the step took less. */
const MAX_PAUSE_MS = 100;

interface Node {
  readonly depth: number;
  readonly node: number;
}

/** Rows of a node as they are taken out of it. */
interface TakenRow extends IndexRow, Span {}

export interface Merging {
  /** How many rows are put together. */
  readonly rows?: number;
  /** How far down rows are moved. */
  readonly depth?: number;
  /** Asked before each step. */
  readonly isInterrupted?: () => boolean;
}

/**
 * Merges as long as a node has enough rows. Ends early where another process works on the index.
 * @returns how often rows were put together
 */
export async function mergeRuns(
  database: Database,
  { rows = MERGED_ROWS, depth = MAX_DEPTH, isInterrupted = () => false }: Merging = {},
): Promise<number> {
  let merged = 0;
  const full = await fullBuckets(database, rows);
  while (full.length > 0 && !isInterrupted()) {
    const begun = performance.now();
    const last = full.findLastIndex((node) => node.depth !== full.at(-1)?.depth);
    const nodes = full.splice(Math.max(last + 1, full.length - NODES));
    const step = await mergeNodes(database, nodes, rows);
    if (step === 'locked') return merged;
    merged += step.merged.length;
    // A node that had more than were taken is looked at again.
    full.push(...step.merged, ...step.below.filter((node) => node.depth < depth));
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

/** @param nodes at one depth @returns those that had enough rows, and the nodes below that have enough now */
async function mergeNodes(
  database: Database,
  nodes: readonly Node[],
  most: number,
): Promise<{ readonly merged: Node[]; readonly below: Node[] } | 'locked'> {
  return transaction(database, async (tx) => {
    if (!(await tryLock(tx, DIGEST_RUNS_LOCK))) return 'locked';
    const depth = nodes[0]?.depth ?? 0;
    const { rows } = await tx.query<TakenRow>({
      name: `take-${depth === 0 ? 'runs' : 'merged'}`,
      text: depth === 0 ? TAKE_RUNS : TAKE_MERGED,
      values: [nodes.map(({ node }) => node), most, ...(depth === 0 ? [] : [depth])],
    });
    if (rows.length === 0) return { merged: [], below: [] };
    const taken = Map.groupBy(rows, ({ node }) => node);
    await insertBelow(tx, depth, taken);
    const merged = [...taken.keys()].map((node) => ({ depth, node }));
    return { merged, below: await fullBelow(tx, merged, most) };
  });
}

/** Rows of nodes, the oldest, if there are enough; parameters: the nodes, how many rows. */
const TAKE_RUNS = `
  WITH last AS MATERIALIZED (
    SELECT n.node, (SELECT max(run) FROM (SELECT run FROM digest_runs WHERE bucket = n.node ORDER BY run LIMIT $2) AS r
                    HAVING count(*) = $2) AS run
    FROM unnest($1::bigint[]) AS n (node))
  DELETE FROM digest_runs r USING last l WHERE r.bucket = l.node AND r.run <= l.run
  RETURNING r.bucket AS node, r.run AS id, r.run AS oldest, r.run AS newest, r.records`;

/** The same below; a further parameter: the depth. */
const TAKE_MERGED = `
  WITH last AS MATERIALIZED (
    SELECT n.node, (SELECT max(id) FROM (SELECT id FROM merged_digests WHERE depth = $3 AND node = n.node ORDER BY id LIMIT $2) AS r
                    HAVING count(*) = $2) AS id
    FROM unnest($1::bigint[]) AS n (node))
  DELETE FROM merged_digests r USING last l WHERE r.depth = $3 AND r.node = l.node AND r.id <= l.id
  RETURNING r.node, r.id, r.oldest, r.newest, r.records`;

/** @param taken by the node that they were in, at this depth */
async function insertBelow(
  tx: Transaction,
  depth: number,
  taken: ReadonlyMap<number, readonly TakenRow[]>,
): Promise<void> {
  const parts = [...taken].flatMap(([node, unsorted]) => {
    const rows = unsorted.toSorted((a, b) => a.id - b.id);
    const oldest = Math.min(...rows.map((row) => row.oldest));
    const newest = Math.max(...rows.map((row) => row.newest));
    return dealtOut(
      depth,
      rows.map(({ records }) => records),
    ).flatMap((records, child) =>
      cut(records).map((part) => ({ node: node * CHILDREN + child, oldest, newest, part })),
    );
  });
  await tx.query({
    name: 'insert-merged-digests',
    text: `INSERT INTO merged_digests (depth, node, oldest, newest, records)
           SELECT $1, node, oldest, newest, substring($2::bytea FROM at FOR length) FROM (
             SELECT node, oldest, newest, length, ${PART_BEGIN} AS at
             FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::int[])
               WITH ORDINALITY AS u (node, oldest, newest, length, n)) AS p`,
    values: [
      depth + 1,
      Buffer.concat(parts.map(({ part }) => part)),
      parts.map(({ node }) => node),
      parts.map(({ oldest }) => oldest),
      parts.map(({ newest }) => newest),
      parts.map(({ part }) => part.length),
    ],
  });
}

/** Records of a node by the node below it that they belong to, in the order in which they were. */
function dealtOut(depth: number, rows: readonly Uint8Array[]): Buffer[] {
  const records = Buffer.concat(rows.map((row) => row.subarray(0, row.length - (row.length % RECORD_BYTES))));
  const byte = Math.floor((NODE_BITS * depth) / 8);
  const shift = depth % 2 === 0 ? NODE_BITS : 0;
  const childOf = (at: number): number => ((records[at + byte] ?? 0) >> shift) % CHILDREN;
  const lengths = new Uint32Array(CHILDREN);
  for (let at = 0; at < records.length; at += RECORD_BYTES) {
    const child = childOf(at);
    lengths[child] = (lengths[child] ?? 0) + RECORD_BYTES;
  }
  const children = Array.from(lengths, (length) => Buffer.allocUnsafe(length));
  const ends = new Uint32Array(CHILDREN);
  for (let at = 0; at < records.length; at += RECORD_BYTES) {
    const child = childOf(at);
    const end = ends[child] ?? 0;
    const to = children[child];
    if (to === undefined) continue;
    // By bytes: a call for so few takes longer.
    for (let i = 0; i < RECORD_BYTES; i++) to[end + i] = records[at + i] ?? 0;
    ends[child] = end + RECORD_BYTES;
  }
  return children;
}

function cut(records: Buffer): Buffer[] {
  const bytes = ROW_RECORDS * RECORD_BYTES;
  return Array.from({ length: Math.ceil(records.length / bytes) }, (_, i) =>
    records.subarray(i * bytes, (i + 1) * bytes),
  );
}

/** @param nodes at one depth */
async function fullBelow(tx: Transaction, nodes: readonly Node[], most: number): Promise<Node[]> {
  const depth = (nodes[0]?.depth ?? 0) + 1;
  const { rows } = await tx.query<{ node: number }>({
    name: 'full-digest-nodes',
    text: `SELECT node FROM merged_digests WHERE depth = $1 AND node = ANY ($2::bigint[]) GROUP BY node HAVING count(*) >= $3`,
    values: [
      depth,
      nodes.flatMap(({ node }) => Array.from({ length: CHILDREN }, (_, child) => node * CHILDREN + child)),
      most,
    ],
  });
  return rows.map(({ node }) => ({ depth, node }));
}
