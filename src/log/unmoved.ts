// Entries of a database that an older release made, a row each: they are moved into blocks before anything else is done.

import { equalBytes } from '../core/bytes.ts';
import { NONCE_SIZE } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { type Database, type Queryable, type Transaction, transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';
import type { StoredContent } from './blocks/block.ts';
import { insertBlocks } from './blocks/blocks.ts';
import { PREFIX_BYTES } from './blocks/digest-record.ts';
import { blocksOf } from './blocks/fresh-blocks.ts';
import { digestOf } from './blocks/open-block.ts';
import { indexDigests, makeRuns } from './digest-runs.ts';

/** What is moved in one transaction. */
const PAGE_ENTRIES = 4_096;
const PAGE_BYTES = 8 << 20;
/** Milliseconds between two looks whether another process is done. */
const PAUSE_MS = 500;
const LOCK = 'move entries';

/** How far it is. */
export interface MovingProgress {
  readonly moved: number;
  readonly total: number;
}

export interface Moving {
  readonly onProgress: (progress: MovingProgress) => void;
  /** Told of what an audit will find, too. */
  readonly onDamage: (says: string) => void;
}

/** Whether a database has entries that are not in blocks yet. */
export async function hasUnmoved(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>(
    `SELECT to_regclass(quote_ident(current_schema()) || '.unmoved_entries') IS NOT NULL AS there`,
  );
  return rows[0]?.there === true;
}

/** @throws AntequemError `entries-unmoved` */
export async function demandMoved(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ there: boolean }>(
    `SELECT to_regclass(quote_ident(current_schema()) || '.unpacked_leaves') IS NOT NULL AS there`,
  );
  if (rows[0]?.there === true || (await hasUnmoved(db))) {
    throw new AntequemError(
      'entries-unmoved',
      'this database has entries or rounds in the form of an older release: start the service once, it converts them',
    );
  }
}

/**
 * Moves all entries into blocks, some thousand in a transaction; killed at any time, it goes on where it was. Processes
 * that start together take turns, and all wait until it is done.
 */
export async function moveEntries(database: Database, moving: Moving): Promise<void> {
  if (!(await hasUnmoved(database))) return;
  const logs = await readLogs(database);
  const total = logs.reduce((sum, { size }) => sum + size, 0);
  let moved = 0;
  for (const log of logs) {
    for (let begin = 0; begin < log.size; ) {
      begin = await moveInTurn(database, log, begin, moving);
      moving.onProgress({ moved: moved + begin, total });
    }
    moved += log.size;
    await makeRuns(database);
  }
  await removeOldTables(database);
}

interface MovingLog {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly blinded: boolean;
}

async function readLogs(db: Queryable): Promise<MovingLog[]> {
  const { rows } = await db.query<MovingLog>('SELECT id, name, size, blinded FROM log_states ORDER BY id');
  return rows;
}

/** Moves a page if it is this process's turn. @returns up to where the log is moved */
async function moveInTurn(database: Database, log: MovingLog, begin: number, moving: Moving): Promise<number> {
  const end = await transaction(database, async (tx) => {
    if (!(await tryLock(tx, LOCK))) return null;
    // Another process may have moved some, or all, since.
    if (!(await hasUnmoved(tx))) return log.size;
    const { rows } = await tx.query<{ end: number }>(
      'SELECT coalesce(max(first + count), 0)::bigint AS end FROM blocks WHERE log = $1',
      [log.id],
    );
    const from = Math.max(begin, rows[0]?.end ?? 0);
    return from < log.size ? await movePage(tx, log, from, moving) : log.size;
  });
  if (end === null) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  return end ?? begin;
}

interface OldRow {
  index: number;
  received_at: number;
  digest: Uint8Array | null;
  nonce: Uint8Array | null;
  commitment: Uint8Array;
  leaf_hash: Uint8Array;
  payload: Uint8Array | null;
}

async function movePage(tx: Transaction, log: MovingLog, begin: number, moving: Moving): Promise<number> {
  // Up to where a tile ends, so that as few blocks as can be are small.
  const limit = Math.min(log.size, (Math.floor(begin / PAGE_ENTRIES) + 1) * PAGE_ENTRIES);
  const { rows } = await tx.query<OldRow>(
    `SELECT index, received_at, digest, nonce, commitment, leaf_hash, payload
     FROM (SELECT *, sum(coalesce(length(payload), 0)) OVER (ORDER BY index) AS total FROM unmoved_entries
           WHERE segment = ANY ($4::int[]) AND log = $1 AND index >= $2 AND index < $3) AS page
     WHERE total <= ${PAGE_BYTES} OR index = $2 ORDER BY index`,
    [log.id, begin, limit, await segmentsOf(tx, log.id)],
  );
  let next = begin;
  for (const run of contiguous(rows)) {
    const first = run[0]?.index ?? next;
    if (first > next) moving.onDamage(`entry ${next} of ${log.name} is missing`);
    next = first + run.length;
    await moveRun(tx, log, run, moving);
  }
  if (rows.length === 0) moving.onDamage(`entry ${begin} of ${log.name} is missing`);
  return rows.length === 0 ? limit : next;
}

async function segmentsOf(tx: Transaction, log: number): Promise<number[]> {
  const { rows } = await tx.query<{ segment: number }>(
    'SELECT DISTINCT segment FROM unmoved_stretches WHERE log = $1',
    [log],
  );
  return rows.map(({ segment }) => segment);
}

/** What is missing stays missing: blocks end before it. */
function contiguous(rows: readonly OldRow[]): OldRow[][] {
  const runs: OldRow[][] = [];
  for (const row of rows) {
    const run = runs.at(-1);
    if (run !== undefined && run.at(-1)?.index === row.index - 1) run.push(row);
    else runs.push([row]);
  }
  return runs;
}

async function moveRun(tx: Transaction, log: MovingLog, rows: readonly OldRow[], moving: Moving): Promise<void> {
  const first = rows[0]?.index ?? 0;
  const prefixes = Buffer.alloc(PREFIX_BYTES * rows.length);
  const nonceSize = log.blinded ? NONCE_SIZE : 0;
  const contents = rows.map((row, i) => {
    const content = contentOf(row, nonceSize);
    const digest = digestOf(content);
    if (digest === null) return content;
    prefixes.set(digest.subarray(0, PREFIX_BYTES), PREFIX_BYTES * i);
    if (row.digest !== null && !equalBytes(row.digest, digest)) {
      moving.onDamage(`the payload of entry ${row.index} of ${log.name} does not have its digest`);
    }
    return content;
  });
  const { blocks } = await blocksOf({
    first,
    times: rows.map((row) => row.received_at),
    contents,
    leaves: Buffer.concat(rows.map((row) => row.leaf_hash)),
    nonceSize,
    size: log.size,
  });
  await insertBlocks(tx, log.id, blocks);
  await indexDigests(tx, log.id, first, prefixes);
}

function contentOf({ digest, nonce, commitment, payload }: OldRow, nonceSize: number): StoredContent {
  if (digest === null || nonce?.length !== nonceSize) return { kind: 'erased', commitment };
  return payload === null ? { kind: 'digest', digest, nonce } : { kind: 'payload', payload, nonce };
}

/** One table in a transaction: so many at once would need more locks than a server has. */
async function removeOldTables(database: Database): Promise<void> {
  const { rows } = await database.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = to_regclass(quote_ident(current_schema()) || '.unmoved_entries') ORDER BY 1`,
  );
  for (const { name } of rows) await database.query(`DROP TABLE IF EXISTS "${name}"`);
  await database.query('DROP TABLE IF EXISTS unmoved_entries, unmoved_stretches, segments');
}
