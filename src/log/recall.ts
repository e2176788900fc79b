// Archived contents come back into the database before something in them is erased.

import { type Database, type Queryable, type Transaction, transaction } from '../store/database.ts';
import { ARCHIVED_COLUMN, archivedBlock, type BlockArchive, contentOf } from './blocks/archived-block.ts';
import type { Log } from './log.ts';

/** Blocks that are fetched and stored together. */
const BLOCKS_AT_ONCE = 16;
/** Leftovers are deleted in two minutes: a read that found the key a moment ago still opens the object. */
const SOON = `clock_timestamp() - interval '58 minutes'`;

/**
 * Brings the archived contents of entries [begin, end) back into the database and destroys their keys; blocks that are
 * erased as a whole stay where they are. Copies in the
 * archive cannot be read any more, and are deleted once no lock forbids it. What remains after the erasure is archived
 * again, under a new key.
 * @returns how many blocks came back
 * @throws AntequemError `archive-missing`, and as {@link BlockArchive}
 */
export async function recallBlocks(
  database: Database,
  archive: BlockArchive | null,
  log: Pick<Log, 'id'>,
  [begin, end]: readonly [number, number],
): Promise<number> {
  for (let recalled = 0; ; ) {
    const { rows } = await database.query<{ first: number; count: number; archived: Uint8Array | null }>({
      name: 'archived-blocks-between',
      text: `SELECT first, count, ${ARCHIVED_COLUMN} FROM blocks b
             WHERE log = $1 AND first > $2::bigint - 256 AND first + count > $2 AND first < $3 AND content IS NULL
               AND cardinality(erased) < count
             ORDER BY first LIMIT ${BLOCKS_AT_ONCE}`,
      values: [log.id, begin, end],
    });
    const blocks = rows.flatMap(({ first, count, archived }) =>
      archived === null ? [] : [archivedBlock({ log: log.id, first, count }, archived)],
    );
    if (blocks.length === 0) return recalled;
    // No connection is held meanwhile.
    const contents = await Promise.all(blocks.map((block) => contentOf(archive, block)));
    recalled += await transaction(database, async (tx) => {
      await tx.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log.id]);
      const { rows: back } = await tx.query<{ first: number; object: Uint8Array }>({
        name: 'recall-blocks',
        text: `UPDATE blocks b SET content = r.content
               FROM unnest($2::bigint[], $3::bytea[], $4::bytea[]) AS r (first, object, content)
               JOIN archived_blocks a ON a.log = $1 AND a.first = r.first AND a.object = r.object
               WHERE b.log = $1 AND b.first = r.first AND b.content IS NULL RETURNING b.first, a.object`,
        values: [
          log.id,
          blocks.map(({ first }) => first),
          blocks.map(({ object }) => Buffer.from(object)),
          contents.map((content) => Buffer.from(content)),
        ],
      });
      await destroyKeys(
        tx,
        back.map(({ object }) => object),
      );
      await dropCommitments(
        tx,
        log.id,
        back.map(({ first }) => first),
      );
      await tx.query('UPDATE archive_logs SET moved = least(moved, $2) WHERE log = $1', [
        log.id,
        Math.min(...blocks.map(({ first }) => first)),
      ]);
      return back.length;
    });
  }
}

/**
 * Destroys the keys of archived contents. Their objects are deleted once no lock forbids it.
 * @param objects their names
 * @returns how many there were
 */
export async function destroyKeys(tx: Transaction, objects: readonly Uint8Array[]): Promise<number> {
  const { rowCount } = await tx.query(
    `WITH gone AS (DELETE FROM archived_blocks WHERE object = ANY ($1::bytea[]) RETURNING log, first, object, locked_until)
     INSERT INTO archive_leftovers (object, since, log, first, locked_until)
     SELECT object, ${SOON}, log, first, locked_until FROM gone`,
    [objects.map((object) => Buffer.from(object))],
  );
  return rowCount ?? 0;
}

/** Has the archived commitments of blocks deleted whose content is in the database. @param blocks their first entries */
export async function dropCommitments(tx: Transaction, log: number, blocks: readonly number[]): Promise<void> {
  await tx.query(
    `WITH gone AS (DELETE FROM archived_commitments WHERE log = $1 AND first = ANY ($2::bigint[]) RETURNING object)
     INSERT INTO archive_leftovers (object, since) SELECT object, ${SOON} FROM gone`,
    [log, blocks],
  );
}

/**
 * Until when the archive refuses to delete copies of a block with this entry, milliseconds; null: it does not. Their keys
 * are destroyed.
 * @param now milliseconds since the Unix epoch
 */
export async function copiesLockedUntil(
  db: Queryable,
  log: Pick<Log, 'id'>,
  index: number,
  now: number,
): Promise<number | null> {
  const { rows } = await db.query<{ until: number | null }>(
    `SELECT max(l.locked_until) AS until FROM archive_leftovers l JOIN blocks b ON b.log = l.log AND b.first = l.first
     WHERE l.log = $1 AND l.first > $2::bigint - 256 AND l.first <= $2 AND b.first + b.count > $2 AND l.locked_until > $3`,
    [log.id, index, now],
  );
  return rows[0]?.until ?? null;
}
