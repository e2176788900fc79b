import { equalBytes } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import type { Queryable, Transaction } from '../store/database.ts';
import { readBlocks } from './blocks/blocks.ts';
import { NO_REPEATS } from './events.ts';
import type { Appended, Log, Logged, Submission } from './log.ts';

/** How long the answer to an Idempotency-Key is kept. */
export const IDEMPOTENCY_TTL = 7 * 24 * 3_600_000;

/** The result for one submission of a group. */
export type Outcome = Logged | { readonly refused: AntequemError };

interface Record {
  owner: string;
  key: string;
  request_hash: Uint8Array;
  first_index: number;
  count: number;
  created_at: number;
}

/**
 * For submissions that were answered before: the same answer, or a refusal if the key came with another request. Undefined
 * for those that are to be appended. Runs under the log's lock, so that no other process answers the same key.
 */
export async function findReplays(
  tx: Transaction,
  log: Log,
  submissions: readonly Submission[],
  now: number,
): Promise<(Outcome | undefined)[]> {
  const keyed = submissions.flatMap(({ idempotency }) => (idempotency === null ? [] : [idempotency]));
  if (keyed.length === 0) return submissions.map(() => undefined);
  const { rows } = await tx.query<Record>(
    `SELECT owner, key, request_hash, first_index, count, created_at FROM idempotency
     WHERE log = $1 AND (owner, key) IN (SELECT * FROM unnest($2::text[], $3::text[])) AND created_at > $4`,
    [log.id, keyed.map(({ owner }) => owner), keyed.map(({ key }) => key), now - IDEMPOTENCY_TTL],
  );
  const records = new Map(rows.map((row) => [`${row.owner}\n${row.key}`, row]));
  const claimed = new Map<string, Uint8Array>();
  return Promise.all(
    submissions.map(async ({ idempotency }): Promise<Outcome | undefined> => {
      if (idempotency === null) return undefined;
      const id = `${idempotency.owner}\n${idempotency.key}`;
      const record = records.get(id);
      if (record !== undefined) {
        if (!equalBytes(record.request_hash, idempotency.requestHash)) return { refused: reused(idempotency.key) };
        return readAppended(tx, log, record);
      }
      const other = claimed.get(id);
      if (other !== undefined) {
        const refused = equalBytes(other, idempotency.requestHash) ? inFlight : reused;
        return { refused: refused(idempotency.key) };
      }
      claimed.set(id, idempotency.requestHash);
      return undefined;
    }),
  );
}

/** Stores the answers under the keys of these submissions. */
export async function recordKeys(
  tx: Transaction,
  log: Log,
  submissions: readonly Submission[],
  placed: readonly Appended[],
  now: number,
): Promise<void> {
  const records = submissions.flatMap(({ idempotency }, i) => {
    const place = placed[i];
    return idempotency === null || place === undefined ? [] : [{ ...idempotency, ...place }];
  });
  if (records.length === 0) return;
  await tx.query(
    // A record that is there already has expired; otherwise it would have been found.
    `INSERT INTO idempotency (log, owner, key, request_hash, first_index, count, created_at)
     SELECT $1, owner, key, hash, first, count, created
     FROM unnest($2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::int[], $7::bigint[])
       AS r (owner, key, hash, first, count, created)
     ON CONFLICT (log, owner, key) DO UPDATE SET request_hash = excluded.request_hash, first_index = excluded.first_index,
       count = excluded.count, created_at = excluded.created_at`,
    [
      log.id,
      records.map(({ owner }) => owner),
      records.map(({ key }) => key),
      records.map(({ requestHash }) => Buffer.from(requestHash)),
      records.map(({ index }) => index),
      records.map(({ count }) => count),
      // A record expires IDEMPOTENCY_TTL after its creation: one with a shorter life gets an earlier creation.
      records.map(({ lifetime = IDEMPOTENCY_TTL }) => now - (IDEMPOTENCY_TTL - lifetime)),
    ],
  );
}

/** Deletes the answers under these keys of one owner. */
export async function forgetKeys(db: Queryable, log: Log, owner: string, keys: readonly string[]): Promise<void> {
  await db.query('DELETE FROM idempotency WHERE log = $1 AND owner = $2 AND key = ANY ($3::text[])', [
    log.id,
    owner,
    keys,
  ]);
}

/** Deletes expired records. @returns how many */
export async function purgeKeys(db: Queryable, now: number): Promise<number> {
  const { rowCount } = await db.query('DELETE FROM idempotency WHERE created_at <= $1', [now - IDEMPOTENCY_TTL]);
  return rowCount ?? 0;
}

async function readAppended(tx: Transaction, log: Log, record: Record): Promise<Outcome> {
  const last = record.first_index + record.count - 1;
  const [block = null] = await readBlocks(tx, [{ log: log.id, index: last }]);
  // Returned, not thrown: the other submissions of the commit must not fail with it.
  if (block === null) {
    return { refused: new AntequemError('log-damaged', `entry ${last} of ${log.name} is gone: run an audit`) };
  }
  const digest = block.digest(last);
  if (digest === null) {
    return {
      refused: new AntequemError('entry-erased', `entry ${last} of ${log.name} was erased: its digest is gone`),
    };
  }
  const appended = {
    index: record.first_index,
    count: record.count,
    receivedAt: block.receivedAt(last),
    digest: new Uint8Array(digest),
    leafHash: block.leafHash(last),
  };
  return { appended, fresh: [], repeats: NO_REPEATS };
}

function reused(key: string): AntequemError {
  return new AntequemError(
    'idempotency-key-reused',
    `the Idempotency-Key ${JSON.stringify(key)} was used for another request: use a new key for a new request`,
  );
}

function inFlight(key: string): AntequemError {
  return new AntequemError(
    'idempotency-key-in-flight',
    `a request with the Idempotency-Key ${JSON.stringify(key)} is under way: ask again in a moment`,
  );
}
