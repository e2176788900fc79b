import { encodeEntry } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { encodeBundle, TILE_WIDTH } from '../core/tiles.ts';
import type { Queryable } from '../store/database.ts';
import { leafHashes, segmentRuns } from './head.ts';
import type { Log } from './log.ts';
import type { Stretches } from './stretch.ts';

/** An entry as it is kept. */
export interface StoredEntry {
  readonly index: number;
  readonly receivedAt: number;
  readonly commitment: Uint8Array;
  readonly leafHash: Uint8Array;
  /** Null once erased. */
  readonly secret: { readonly digest: Uint8Array; readonly nonce: Uint8Array } | null;
  /** Bytes of the payload; null where there is none. */
  readonly payloadSize: number | null;
}

interface EntryRow {
  index: number;
  received_at: number;
  commitment: Uint8Array;
  leaf_hash: Uint8Array;
  digest: Uint8Array | null;
  nonce: Uint8Array | null;
  payload_size: number | null;
}

const COLUMNS = 'index, received_at, commitment, leaf_hash, digest, nonce, length(payload) AS payload_size';

/** Reads entries back. */
export class EntryReader {
  readonly #database: Queryable;
  readonly #stretches: Stretches;

  constructor(database: Queryable, stretches: Stretches) {
    this.#database = database;
    this.#stretches = stretches;
  }

  /** Entry `index`, null where the log is not so long. */
  async read(log: Log, index: number): Promise<StoredEntry | null> {
    const segment = await this.#stretches.find(this.#database, log.id, index);
    if (segment === null) return null;
    const { rows } = await this.#database.query<EntryRow>(
      `SELECT ${COLUMNS} FROM entries WHERE segment = $1 AND log = $2 AND index = $3`,
      [segment, log.id, index],
    );
    return rows[0] === undefined ? null : entryOf(rows[0]);
  }

  /** Entries [begin, end), which must be there. */
  async list(log: Log, begin: number, end: number): Promise<StoredEntry[]> {
    const entries: StoredEntry[] = [];
    for (const run of await segmentRuns(this.#database, this.#stretches, log.id, begin, end)) {
      const { rows } = await this.#database.query<EntryRow>(
        `SELECT ${COLUMNS} FROM entries WHERE segment = $1 AND log = $2 AND index >= $3 AND index < $4 ORDER BY index`,
        [run.segment, log.id, run.begin, run.end],
      );
      entries.push(...rows.map(entryOf));
    }
    if (entries.length !== end - begin) {
      throw new AntequemError('log-damaged', `log ${log.name} lacks entries between ${begin} and ${end}: run an audit`);
    }
    return entries;
  }

  /** The payload of an entry: `absent` where the client kept it or it was erased. */
  async payload(log: Log, index: number): Promise<Uint8Array | 'absent' | null> {
    const segment = await this.#stretches.find(this.#database, log.id, index);
    if (segment === null) return null;
    const { rows } = await this.#database.query<{ payload: Uint8Array | null }>(
      'SELECT payload FROM entries WHERE segment = $1 AND log = $2 AND index = $3',
      [segment, log.id, index],
    );
    const row = rows[0];
    return row === undefined ? null : (row.payload ?? 'absent');
  }

  /** The leaf hash of the entry before: the log id for index 0. */
  async previous(log: Log, index: number): Promise<Uint8Array> {
    return index === 0 ? log.logId : leafHashes(this.#database, this.#stretches, log.id, index - 1, index);
  }

  /** Bundle `index` of the C2SP tile API, its first `width` entries. */
  async bundle(log: Log, index: number, width: number): Promise<Uint8Array> {
    const begin = index * TILE_WIDTH;
    let previous = await this.previous(log, begin);
    const entries: Uint8Array[] = [];
    for (const entry of await this.list(log, begin, begin + width)) {
      entries.push(encodeEntry({ receivedAt: entry.receivedAt, previous, commitment: entry.commitment }));
      previous = entry.leafHash;
    }
    return encodeBundle(entries);
  }

  /** Where a digest was logged, in these logs or (null) in all, in no order, at most `limit` places. */
  async locate(
    digest: Uint8Array,
    logs: readonly string[] | null,
    limit: number,
  ): Promise<{ log: string; index: number; receivedAt: number }[]> {
    const { rows } = await this.#database.query<{ log: string; index: number; received_at: number }>(
      `SELECT l.origin AS log, e.index, e.received_at FROM entries e JOIN logs l ON l.id = e.log WHERE e.digest = $1 AND ($2::text[] IS NULL OR l.name = ANY ($2)) LIMIT $3`,
      [digest, logs, limit],
    );
    return rows.map((row) => ({ log: row.log, index: row.index, receivedAt: row.received_at }));
  }
}

function entryOf(row: EntryRow): StoredEntry {
  return {
    index: row.index,
    receivedAt: row.received_at,
    commitment: new Uint8Array(row.commitment),
    leafHash: new Uint8Array(row.leaf_hash),
    secret:
      row.digest === null || row.nonce === null
        ? null
        : { digest: new Uint8Array(row.digest), nonce: new Uint8Array(row.nonce) },
    payloadSize: row.payload_size,
  };
}
