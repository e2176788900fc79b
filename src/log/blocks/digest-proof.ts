// Whether entries have a digest, without their payloads: digest, nonce and time make the leaf hash that is in the tree. A block
// takes longer to read and unpack than all the rest of a look-up.

import { equalBytes, readU64 } from '../../core/bytes.ts';
import { commitTo, entryLeafHash } from '../../core/entry.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { Queryable } from '../../store/database.ts';
import { nonceInContent } from './block.ts';
import type { EntryPlace } from './blocks.ts';

/** An entry that may have the digest that was asked for. */
export interface Candidate extends EntryPlace {
  readonly origin: string;
  /** When it was received, milliseconds, where its leaf hash proves that it has the digest; null: only its content can tell. */
  readonly provenAt: number | null;
}

interface Row {
  readonly log: number;
  readonly index: number;
  readonly origin: string;
  readonly received_at: number;
  readonly time: Uint8Array | null;
  /** The leaf hash before that of the entry, and its own; shorter or null where they are not at hand. */
  readonly leaves: Uint8Array | null;
  /** Null where it is erased or in the archive. */
  readonly nonce: Uint8Array | null;
}

/** Two leaf hashes that end with that of position `at`, of hashes that follow one another. */
const twoLeaves = (hashes: string, at: string): string =>
  `substring(${hashes} FROM ${HASH_SIZE} * ((${at})::int - 1) + 1 FOR ${2 * HASH_SIZE})`;

/** Of these places. Made once: it is long. */
const proving = (places: string): string => `
  SELECT q.log, q.index, l.origin, b.received_at, substring(b.times FROM 8 * p.position + 1 FOR 8) AS time,
         coalesce(${twoLeaves('b.leaves', 'p.position')},
                  (SELECT ${twoLeaves('t.hashes', `q.index % ${TILE_WIDTH}`)} FROM tiles t
                   WHERE t.log = q.log AND t.level = 0 AND t.index = q.index / ${TILE_WIDTH})) AS leaves,
         CASE WHEN NOT p.position = ANY (b.erased) THEN (${nonceInContent('b', 'p.position')}) END AS nonce
  FROM ${places}
  JOIN logs l ON l.id = q.log AND ($1::text[] IS NULL OR l.name = ANY ($1))
  CROSS JOIN LATERAL (SELECT * FROM blocks WHERE log = q.log AND first <= q.index AND first > q.index - ${TILE_WIDTH}
                      ORDER BY first DESC LIMIT 1) AS b
  CROSS JOIN LATERAL (SELECT (q.index - b.first)::int AS position) AS p
  WHERE p.position < b.count`;
/** PostgreSQL plans the statement of one place once, and that of several each time. */
const PROVE_ONE = proving('(SELECT $2::bigint AS log, $3::bigint AS index) AS q');
const PROVE_SEVERAL = proving('unnest($2::bigint[], $3::bigint[]) AS q (log, index)');

/** @param logs names; null: all. Places in other logs are left out. */
export async function candidates(
  db: Queryable,
  places: readonly EntryPlace[],
  digest: Uint8Array,
  logs: readonly string[] | null,
): Promise<Candidate[]> {
  const [numbers, indices] = [places.map(({ log }) => log), places.map(({ index }) => index)];
  const isOne = places.length === 1;
  const { rows } = await db.query<Row>({
    name: `prove-digest${isOne ? '' : 's'}`,
    text: isOne ? PROVE_ONE : PROVE_SEVERAL,
    values: [logs, ...(isOne ? [numbers[0], indices[0]] : [numbers, indices])],
  });
  return rows.map((row) => {
    const { log, index, origin } = row;
    const receivedAt = row.time === null ? row.received_at : readU64(row.time, 0);
    return { log, index, origin, provenAt: isProven(row, receivedAt, digest) ? receivedAt : null };
  });
}

function isProven({ leaves, nonce }: Row, receivedAt: number, digest: Uint8Array): boolean {
  if (leaves?.length !== 2 * HASH_SIZE || nonce === null) return false;
  const previous = leaves.subarray(0, HASH_SIZE);
  const leaf = entryLeafHash({ receivedAt, previous, commitment: commitTo(digest, nonce) });
  return equalBytes(leaf, leaves.subarray(HASH_SIZE));
}
