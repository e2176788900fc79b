// Where digests were logged. The index holds prefixes, which are hints: leaf hashes tell, or the entries.

import { equalBytes, toHex } from '../core/bytes.ts';
import type { Queryable } from '../store/database.ts';
import type { BlockArchive } from './blocks/archived-block.ts';
import { type EntryPlace, readBlocks } from './blocks/blocks.ts';
import { type Candidate, candidates } from './blocks/digest-proof.ts';
import { PREFIX_BYTES, prefixIn, prefixOf, RECORD_BYTES, recordAt, recordsOf } from './blocks/digest-record.ts';
import { RememberedContents } from './blocks/remembered-contents.ts';
import { bucketOf, MAX_DEPTH, nodeOf, nodesBelow, rowsAt, rowsBelow } from './digest-nodes.ts';
import type { Log } from './log.ts';

/** Rows that are read at a time. */
const PAGE_ROWS = 64;
/** Entries that are looked at together. */
const PLACES = 256;
/** Nodes that are read together. */
const NODES = 64;

/** Where a digest was logged. */
interface FoundDigest {
  /** Its origin. */
  readonly log: string;
  readonly index: number;
  /** Milliseconds. */
  readonly receivedAt: number;
}

/** Where a digest was logged, in these logs or (null) in all, in no order, at most `limit` places. */
export async function locateDigest(
  db: Queryable,
  digest: Uint8Array,
  logs: readonly string[] | null,
  limit: number,
  archive: BlockArchive | null = null,
  remembered = new RememberedContents(),
): Promise<FoundDigest[]> {
  const found: FoundDigest[] = [];
  const seen = new Set<string>();
  for await (const hints of hintsOf(db, digest)) {
    for (let at = 0; at < hints.length; at += PLACES) {
      const places = hints.slice(at, at + PLACES).filter((place) => !seen.has(nameOf(place)));
      for await (const place of among(db, places, digest, logs, archive, remembered)) {
        if (seen.has(nameOf(place))) continue;
        seen.add(nameOf(place));
        const { origin, index, receivedAt } = place;
        found.push({ log: origin, index, receivedAt });
        if (found.length === limit) return found;
      }
    }
  }
  return found;
}

const nameOf = ({ log, index }: EntryPlace): string => `${log}/${index}`;

/** Those of some places, in these logs, that have the digest. */
async function* among(
  db: Queryable,
  places: readonly EntryPlace[],
  digest: Uint8Array,
  logs: readonly string[] | null,
  archive: BlockArchive | null,
  remembered: RememberedContents,
): AsyncGenerator<EntryPlace & { readonly origin: string; readonly receivedAt: number }> {
  const unproven: Candidate[] = [];
  for (const candidate of places.length === 0 ? [] : await candidates(db, places, digest, logs)) {
    const { provenAt } = candidate;
    if (provenAt === null) unproven.push(candidate);
    else yield { ...candidate, receivedAt: provenAt };
  }
  if (unproven.length === 0) return;
  for (const [i, block] of (await readBlocks(db, unproven, remembered)).entries()) {
    const candidate = unproven[i];
    if (block === null || candidate === undefined) continue;
    const held = (await block.opened(archive)).digest(candidate.index);
    if (held !== null && equalBytes(held, digest)) {
      yield { ...candidate, receivedAt: block.receivedAt(candidate.index) };
    }
  }
}

/** Rows of the node at depth 0 with this text in them, from one run on; its parameters are numbered from this one on. */
const runsWith = (at: number): string =>
  `SELECT NULL::int AS log, NULL::bigint AS first, 0 AS depth, run AS id, records AS bytes FROM digest_runs
   WHERE bucket = $${at} AND run > $${at + 1} AND position($${at + 2}::bytea IN records) > 0 ORDER BY run LIMIT ${PAGE_ROWS}`;

/** The same of the nodes below it, one at each depth. */
const mergedWith = (at: number): string =>
  `SELECT NULL::int AS log, NULL::bigint AS first, m.depth, m.id, m.records AS bytes
   FROM ${rowsBelow(`$${at}`)}
   WHERE (m.depth, m.id) > ($${at + 1}, $${at + 2}::bigint) AND position($${at + 3}::bytea IN m.records) > 0
   ORDER BY m.depth, m.id LIMIT ${PAGE_ROWS}`;

const FIND = `SELECT log, first, NULL::int AS depth, NULL::bigint AS id, prefixes AS bytes FROM digest_batches
  WHERE position($1::bytea IN prefixes) > 0 UNION ALL (${runsWith(2)}) UNION ALL (${mergedWith(5)})`;

/** Entries whose digests begin as this one, some at a time. */
async function* hintsOf(db: Queryable, digest: Uint8Array): AsyncGenerator<EntryPlace[]> {
  const prefix = Buffer.from(digest.subarray(0, PREFIX_BYTES));
  const [bucket, rest] = [prefix[0] ?? 0, prefix.subarray(1)];
  const nodes = nodesBelow(prefixOf(prefix));
  // One query for all, so that what moves down meanwhile is seen in one of them.
  const { rows } = await db.query<Hint>({
    name: 'find-digest',
    text: FIND,
    values: [prefix, bucket, 0, rest, nodes, 0, 0, rest],
  });
  for (const row of rows) yield placesOf(row, prefix);
  const full = [rows.filter(({ depth }) => depth === 0), rows.filter(({ depth }) => (depth ?? 0) > 0)];
  if (full.every(({ length }) => length < PAGE_ROWS)) return;
  // Further pages: of the nodes from the top to the bottom, each after the one above.
  const page = async (name: string, text: string, values: unknown[]): Promise<Hint[]> =>
    (await db.query<Hint>({ name, text, values })).rows;
  for (let last: Hint | undefined = full[0]?.at(-1); last !== undefined; ) {
    const more: Hint[] = await page('find-digest-in-runs', runsWith(1), [bucket, last.id, rest]);
    for (const row of more) yield placesOf(row, prefix);
    last = more.at(-1);
  }
  for (let [depth, id]: (number | null)[] = [0, 0]; depth !== null; ) {
    const more: Hint[] = await page('find-digest-in-merged', mergedWith(1), [nodes, depth, id, rest]);
    for (const row of more) yield placesOf(row, prefix);
    ({ depth, id } = more.at(-1) ?? { depth: null, id: null });
  }
}

/** A row with a hint: a commit, if it has log and first index, or of a node. */
interface Hint {
  readonly log: number | null;
  readonly first: number | null;
  readonly depth: number | null;
  readonly id: number | null;
  readonly bytes: Uint8Array;
}

function placesOf({ bytes, log, first }: Hint, prefix: Buffer): EntryPlace[] {
  const places: EntryPlace[] = [];
  const isCommit = log !== null && first !== null;
  const [wanted, width] = isCommit ? [prefix, PREFIX_BYTES] : [prefix.subarray(1), RECORD_BYTES];
  const hints = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = hints.indexOf(wanted); at >= 0; at = hints.indexOf(wanted, at + 1)) {
    if (at % width !== 0) continue;
    places.push(isCommit ? { log, index: first + at / PREFIX_BYTES } : recordAt(hints, at));
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
  for await (const { index, prefix } of indexOf(db, log.id, [...wanted.keys()])) {
    const among = wanted.get(prefix);
    if (among === undefined || among.every((digest) => held.has(toHex(digest)))) continue;
    places.push({ index, among });
    if (places.length === PLACES) await look();
  }
  await look();
  return held;
}

/** All that the index has of a log where digests with these prefixes would be. */
async function* indexOf(
  db: Queryable,
  log: number,
  prefixes: readonly number[],
): AsyncGenerator<{ readonly index: number; readonly prefix: number }> {
  // Batches first, then nodes from the top to the bottom: what moves down meanwhile is seen twice, and nothing is missed.
  const { rows } = await db.query<{ first: number; prefixes: Uint8Array }>(
    'SELECT first, prefixes FROM digest_batches WHERE log = $1',
    [log],
  );
  for (const { first, prefixes } of rows) {
    for (let at = 0; at < prefixes.length; at += PREFIX_BYTES) {
      yield { index: first + at / PREFIX_BYTES, prefix: prefixOf(prefixes, at) };
    }
  }
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const nodes = [...new Set(prefixes.map((prefix) => nodeOf(depth, prefix)))];
    for (let at = 0; at < nodes.length; at += NODES) {
      for await (const { bucket, records } of rowsOfNodes(db, depth, nodes.slice(at, at + NODES))) {
        for (const record of recordsOf(records)) {
          if (record.log === log) yield { index: record.index, prefix: prefixIn(bucket, record.prefix) };
        }
      }
    }
  }
}

/** Rows of nodes at one depth. */
async function* rowsOfNodes(
  db: Queryable,
  depth: number,
  nodes: readonly number[],
): AsyncGenerator<{ readonly bucket: number; readonly records: Uint8Array }> {
  for (let [node, id]: (number | null)[] = [-1, 0]; node !== null; ) {
    const page: { rows: { node: number; id: number; records: Uint8Array }[] } = await db.query(
      `SELECT r.node, r.id, r.records FROM unnest($1::bigint[]) AS n (node) JOIN ${rowsAt(depth)} AS r ON r.node = n.node
       WHERE (r.node, r.id) > ($2, $3::bigint) ORDER BY 1, 2 LIMIT ${PAGE_ROWS}`,
      [nodes, node, id],
    );
    for (const row of page.rows) yield { bucket: bucketOf(depth, row.node), records: row.records };
    ({ node, id } = page.rows.at(-1) ?? { node: null, id: null });
  }
}

type OnHint = (log: number, index: number, prefix: number) => void;

/** A row of the index that is longer was not written by the service. */
const MAX_ROW_BYTES = 4 << 20;

/**
 * All that the index has, a hint at a time, in no order; prefixes as {@link prefixOf} has them. None of zeros: most of those
 * are of erased entries.
 */
export async function scanIndex(db: Queryable, onHint: OnHint): Promise<void> {
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
  for (let depth = 0; depth <= MAX_DEPTH; depth++) await scanDepth(db, depth, onHint);
}

async function scanDepth(db: Queryable, depth: number, onHint: OnHint): Promise<void> {
  for (let [node, id] = [-1, 0]; ; ) {
    const { rows } = await db.query<{ node: number; id: number; records: Uint8Array }>(
      `SELECT node, id, records FROM ${rowsAt(depth)} AS r WHERE (node, id) > ($1, $2) AND length(records) <= ${MAX_ROW_BYTES}
       ORDER BY node, id LIMIT ${PAGE_ROWS}`,
      [node, id],
    );
    for (const row of rows) {
      [node, id] = [row.node, row.id];
      const bucket = bucketOf(depth, node);
      for (const { log, index, prefix } of recordsOf(row.records)) {
        const whole = prefixIn(bucket, prefix);
        // In another node no search looks for it.
        if (whole !== 0 && nodeOf(depth, whole) === node) onHint(log, index, whole);
      }
    }
    if (rows.length < PAGE_ROWS) return;
  }
}
