// Moves the contents of old blocks into the private archive.

import { setImmediate as otherWork } from 'node:timers/promises';
import { sha256 } from '#sha256';
import { AntequemError, FormatError } from '../core/errors.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { withoutEntries } from '../log/block-erasure.ts';
import { KEY_BYTES, OBJECT_BYTES } from '../log/blocks/archived-block.ts';
import { PREFIX_BYTES } from '../log/blocks/digest-record.ts';
import { dropCommitments } from '../log/recall.ts';
import { type Database, type Queryable, transaction } from '../store/database.ts';
import { objectName } from './archived-blocks.ts';
import { sealBlock } from './block-cipher.ts';
import type { ObjectLock } from './bucket.ts';
import { inTurn } from './in-turn.ts';
import type { ObjectStore } from './object-stores.ts';

/** What is moved in one step. */
const STEP_BLOCKS = 32;
const STEP_BYTES = 8 << 20;
const IV_BYTES = 12;
/** An object that was written and is on record nowhere may still be on its way into the database. */
const LEFTOVER_AGE = '1 hour';
const LEFTOVERS_AT_ONCE = 200;

export interface MovingOptions {
  readonly database: Database;
  readonly store: ObjectStore;
  /** So many random bytes. */
  readonly random: (length: number) => Uint8Array;
  /** Of what is written now; null: none. */
  readonly lock: () => ObjectLock | null;
  /** Ends the work between two steps. */
  readonly signal: AbortSignal;
}

interface OldLog {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  /** Below this index nothing waits to be moved. */
  readonly moved: number;
}

interface OldBlock {
  readonly first: number;
  readonly count: number;
  readonly erased: readonly number[];
  readonly content: Uint8Array;
}

/** An object as it is written, and what opens it. */
interface SealedObject {
  readonly id: Uint8Array;
  readonly key: Uint8Array;
  readonly object: Uint8Array;
}

interface SealedBlock extends OldBlock, SealedObject {
  /** The same block without payloads, digests and nonces; null: all of its entries are erased. */
  readonly bare: SealedObject | null;
  /** What finds the digests of its first and last entry in their index; null: all are erased. */
  readonly digestEnds: Buffer | null;
}

/**
 * Moves the contents of all blocks of complete tiles whose entries were received before a time. Killed at any time, it
 * goes on where it was.
 * @param before milliseconds since the Unix epoch
 * @returns how many blocks were moved
 * @throws AntequemError `log-damaged` for the first log with a damaged block, once the others are done
 */
export async function moveBlocks(options: MovingOptions, before: number): Promise<number> {
  const { rows } = await options.database.query<OldLog>(
    `SELECT l.id, l.name, l.size, coalesce(a.moved, 0) AS moved FROM log_states l LEFT JOIN archive_logs a ON a.log = l.id
     CROSS JOIN LATERAL (
       SELECT time_in_block(b, first + count - 1) AS at FROM blocks b
       WHERE log = l.id AND first >= coalesce(a.moved, 0) AND first < l.size - l.size % ${TILE_WIDTH} AND content IS NOT NULL
       ORDER BY first LIMIT 1) AS oldest
     WHERE l.name <> $1 AND oldest.at < $2 ORDER BY l.id`,
    [SYSTEM_LOG, before],
  );
  let total = 0;
  await inTurn(rows, ['log-damaged'], async (log) => {
    const { size, moved } = log;
    for (let from = moved; !options.signal.aborted; ) {
      const step = await moveStep(options, log, { from, end: size - (size % TILE_WIDTH), before });
      if (step === null) break;
      total += step.moved;
      from = step.next;
    }
  });
  return total;
}

/** @returns null where nothing is left to be moved */
async function moveStep(
  { database, store, random, lock }: MovingOptions,
  { id: log, name }: OldLog,
  range: { readonly from: number; readonly end: number; readonly before: number },
): Promise<{ readonly moved: number; readonly next: number } | null> {
  const blocks = await oldBlocks(database, log, range);
  const last = blocks.at(-1);
  if (last === undefined) return null;
  const sealed: SealedBlock[] = [];
  for (const block of blocks) {
    sealed.push(demandSealed(block, { id: log, name }, random));
    await otherWork();
  }
  const bare = sealed.flatMap((block) => (block.bare === null ? [] : [{ ...block.bare, first: block.first }]));
  const locked = lock();
  const until = locked?.until ?? null;
  // On record before they are written, so that none is left behind for ever.
  const noted = await database.query<{ since: string }>(
    `INSERT INTO archive_leftovers (object, log, first, locked_until, since)
     SELECT object, $1::int, first, $4::bigint, now() FROM unnest($2::bytea[], $3::bigint[]) AS l (object, first)
     UNION ALL SELECT object, NULL, NULL, NULL, now() FROM unnest($5::bytea[]) AS l (object) RETURNING since::text`,
    [log, idsOf(sealed), sealed.map(({ first }) => first), until, idsOf(bare)],
  );
  await Promise.all([...sealed, ...bare].map(({ id, object }) => store.putNew(objectName(id), object, locked)));
  const next = last.first + last.count;
  const moved = await transaction(database, async (tx) => {
    // Appending and erasing wait.
    await tx.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log]);
    // A process that was held up for long may find that its objects were deleted as leftovers: see deleteLeftovers.
    const kept = await tx.query<{ object: Uint8Array }>(
      'SELECT object FROM archive_leftovers WHERE object = ANY ($1::bytea[]) AND since = $2::timestamptz FOR UPDATE',
      [idsOf([...sealed, ...bare]), noted.rows[0]?.since],
    );
    const { rows: back } = await tx.query<{ first: number }>(
      `SELECT c.first FROM archived_commitments c JOIN blocks b ON b.log = c.log AND b.first = c.first
       WHERE c.log = $1 AND c.first = ANY ($2::bigint[]) AND b.content IS NOT NULL`,
      [log, bare.map(({ first }) => first)],
    );
    // A process of an older release, which does not know of them, has recalled these blocks.
    const recalled = back.map(({ first }) => first);
    if (recalled.length > 0) await dropCommitments(tx, log, recalled);
    const { rows } = await tx.query<{ first: number }>({
      name: 'record-archived-blocks',
      // Of a block in which something was erased meanwhile, the object stays a leftover and its key is forgotten here.
      text: `WITH recorded AS (
               INSERT INTO archived_blocks
                 (log, first, object, key, object_hash, content_hash, length, locked_until, digest_ends)
               SELECT $1, n.first, n.object, n.key, n.object_hash, n.content_hash, n.length, $8, n.digest_ends
               FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::int[], $10::bytea[])
                 AS n (first, object, key, object_hash, content_hash, length, digest_ends)
               JOIN blocks b ON b.log = $1 AND b.first = n.first AND sha256(b.content) = n.content_hash
               WHERE n.object = ANY ($9::bytea[])
               RETURNING first, object),
             bare AS (
               INSERT INTO archived_commitments (log, first, object, key, object_hash, length)
               SELECT $1, n.first, n.object, n.key, n.object_hash, n.length
               FROM unnest($11::bigint[], $12::bytea[], $13::bytea[], $14::bytea[], $15::int[])
                 AS n (first, object, key, object_hash, length)
               JOIN recorded r ON r.first = n.first WHERE n.object = ANY ($9::bytea[])
               RETURNING object),
             kept AS (DELETE FROM archive_leftovers
                      WHERE object IN (SELECT object FROM recorded UNION ALL SELECT object FROM bare))
             SELECT first FROM recorded`,
      values: [
        log,
        sealed.map(({ first }) => first),
        idsOf(sealed),
        sealed.map(({ key }) => Buffer.from(key)),
        hashesOf(sealed),
        sealed.map(({ content }) => Buffer.from(sha256(content))),
        sealed.map(({ object }) => object.length),
        until,
        kept.rows.map(({ object }) => Buffer.from(object)),
        sealed.map(({ digestEnds }) => digestEnds),
        bare.map(({ first }) => first),
        idsOf(bare),
        bare.map(({ key }) => Buffer.from(key)),
        hashesOf(bare),
        bare.map(({ object }) => object.length),
      ],
    });
    await tx.query('UPDATE blocks SET content = NULL WHERE log = $1 AND first = ANY ($2::bigint[])', [
      log,
      rows.map(({ first }) => first),
    ]);
    await tx.query(
      `INSERT INTO archive_logs AS a (log, moved) VALUES ($1, $2)
       ON CONFLICT (log) DO UPDATE SET moved = CASE WHEN a.moved >= $3 THEN excluded.moved ELSE a.moved END`,
      [log, rows.length === blocks.length ? next : range.from, range.from],
    );
    return rows.length;
  });
  return { moved, next };
}

/** @throws AntequemError `log-damaged` where it cannot be read */
function demandSealed(
  block: OldBlock,
  { id, name }: Pick<OldLog, 'id' | 'name'>,
  random: MovingOptions['random'],
): SealedBlock {
  try {
    return sealedBlock(block, id, random);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new AntequemError(
      'log-damaged',
      `the block of ${name} at entry ${block.first} cannot be read: run an audit`,
      {
        cause: error,
      },
    );
  }
}

function sealedBlock(block: OldBlock, log: number, random: MovingOptions['random']): SealedBlock {
  const seal = (content: Uint8Array): SealedObject => {
    const key = random(KEY_BYTES);
    return { id: random(OBJECT_BYTES), key, object: sealBlock({ log, ...block }, content, key, random(IV_BYTES)) };
  };
  const erasure = withoutEntries(block, [block.first, block.first + block.count]);
  const ends = erasure === null ? [] : [erasure.gone[0], erasure.gone.at(-1)];
  const prefixes = ends.flatMap((entry) => (entry?.digest == null ? [] : [entry.digest.subarray(0, PREFIX_BYTES)]));
  return {
    ...block,
    ...seal(block.content),
    bare: erasure === null ? null : seal(erasure.content),
    digestEnds: prefixes.length === 2 ? Buffer.concat(prefixes) : null,
  };
}

function idsOf(objects: readonly SealedObject[]): Buffer[] {
  return objects.map(({ id }) => Buffer.from(id));
}

function hashesOf(objects: readonly SealedObject[]): Buffer[] {
  return objects.map(({ object }) => Buffer.from(sha256(object)));
}

/** The next blocks to be moved, as long as they are old enough. */
async function oldBlocks(
  db: Queryable,
  log: number,
  { from, end, before }: { readonly from: number; readonly end: number; readonly before: number },
): Promise<OldBlock[]> {
  const { rows } = await db.query<OldBlock>({
    name: 'blocks-to-archive',
    text: `SELECT first, count, erased, content FROM (
             SELECT first, count, erased, content, row_number() OVER w AS n, sum(length(content)) OVER w AS total
             FROM (SELECT first, count, erased, content, time_in_block(b, first + count - 1) AS at FROM blocks b
                   WHERE log = $1 AND first >= $2 AND first < $3 AND content IS NOT NULL
                   ORDER BY first LIMIT ${STEP_BLOCKS}) AS b
             WHERE at < $4 WINDOW w AS (ORDER BY first)) AS next
           WHERE n = 1 OR total <= ${STEP_BYTES} ORDER BY first`,
    values: [log, from, end, before],
  });
  return rows;
}

/**
 * Deletes objects that nothing refers to, with all their versions. What a lock holds is tried again later.
 * @returns how many are left
 */
export async function deleteLeftovers(database: Database, store: ObjectStore): Promise<number> {
  // With another time on record none of them can be taken for an archived block any more.
  const { rows } = await database.query<{ object: Uint8Array }>(
    `UPDATE archive_leftovers SET since = clock_timestamp() - interval '${LEFTOVER_AGE}'
     WHERE object IN (SELECT object FROM archive_leftovers l
                      WHERE since < clock_timestamp() - interval '${LEFTOVER_AGE}'
                        AND NOT EXISTS (SELECT FROM archived_blocks a WHERE a.object = l.object)
                        AND NOT EXISTS (SELECT FROM archived_commitments c WHERE c.object = l.object)
                      ORDER BY since LIMIT ${LEFTOVERS_AT_ONCE} FOR UPDATE SKIP LOCKED)
     RETURNING object`,
  );
  await inTurn(rows, ['archive-refused'], async ({ object }) => {
    const removed = await store.remove(objectName(object));
    await database.query(
      removed === 'locked'
        ? 'UPDATE archive_leftovers SET since = clock_timestamp() WHERE object = $1'
        : 'DELETE FROM archive_leftovers WHERE object = $1',
      [Buffer.from(object)],
    );
  });
  const left = await database.query<{ count: number }>('SELECT count(*) FROM archive_leftovers');
  return left.rows[0]?.count ?? 0;
}
