// The table of blocks: reads entries for the rest of the service. Appending, erasing and archiving write blocks beside it.

import { sha256 } from '#sha256';
import { equalBytes, readU64, writeU64 } from '../core/bytes.ts';
import { commitTo, entryLeafHash } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { Queryable } from '../store/database.ts';
import {
  ARCHIVED_COLUMN,
  type ArchivedBlock,
  archivedBlock,
  archiveMissing,
  type BlockArchive,
  contentOf,
} from './archived-block.ts';
import { PackedContents, type StoredContent } from './block.ts';

/** A block as it is stored. */
export interface Block {
  /** Index of the first entry. */
  readonly first: number;
  readonly count: number;
  /** Of the first entry, milliseconds. */
  readonly receivedAt: number;
  /** A u64 for each entry; null: all were received with the first. */
  readonly times: Uint8Array | null;
  /** Leaf hashes; null where the tile has them. */
  readonly leaves: Uint8Array | null;
  /** Positions in the block of erased entries, ascending. */
  readonly erased: readonly number[];
  /** Of all payloads together. */
  readonly bytes: number;
  readonly content: Uint8Array;
}

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

interface BlockRow {
  log: number;
  first: number;
  count: number;
  received_at: number;
  times: Uint8Array | null;
  /** Leaf hashes from this entry on. */
  leaves_from: number;
  leaves: Uint8Array | null;
  /** Null where it lies in the archive. */
  content: Uint8Array | null;
  /** What finds it there; null where it is here. */
  archived: Uint8Array | null;
}

/** The columns of blocks `b`, with the leaf hashes of entries [from, end), out of the tile where the block has none. */
const columns = (
  from: string,
  end: string,
): string => `b.log, b.first, b.count, b.received_at, b.times, b.content, ${ARCHIVED_COLUMN}, ${from} AS leaves_from,
  coalesce(substring(b.leaves FROM (${HASH_SIZE} * (${from} - b.first) + 1)::int FOR (${HASH_SIZE} * (${end} - ${from}))::int),
    (SELECT substring(t.hashes FROM (${HASH_SIZE} * (${from} % ${TILE_WIDTH}) + 1)::int FOR (${HASH_SIZE} * (${end} - ${from}))::int)
     FROM tiles t WHERE t.log = b.log AND t.level = 0 AND t.index = b.first / ${TILE_WIDTH})) AS leaves`;

/** A block that was read; it is unpacked as far as it is asked for. */
export class OpenBlock {
  readonly log: number;
  readonly first: number;
  /** Index behind the last entry. */
  readonly end: number;
  readonly #row: BlockRow;
  /** Null where they lie in the archive. */
  readonly #contents: PackedContents | null;

  /** @throws AntequemError `log-damaged` */
  constructor(row: BlockRow) {
    this.log = row.log;
    this.first = row.first;
    this.end = row.first + row.count;
    this.#row = row;
    const { content, count } = row;
    if (content === null && row.archived === null) throw damaged(row.log, `the content of the block at ${row.first}`);
    this.#contents = content === null ? null : this.#demandWhole(() => new PackedContents(content, count));
  }

  /** What finds the content in the archive; null where it is here. */
  get archived(): ArchivedBlock | null {
    const { archived } = this.#row;
    return this.#contents !== null || archived === null ? null : archivedBlock(this.#row, archived);
  }

  /** The same block with its content, which is fetched from the archive where it lies there. */
  async opened(archive: BlockArchive | null): Promise<OpenBlock> {
    const { archived } = this;
    return archived === null ? this : new OpenBlock({ ...this.#row, content: await contentOf(archive, archived) });
  }

  receivedAt(index: number): number {
    return timeOf(this.#row, index - this.first);
  }

  content(index: number): StoredContent {
    if (index < this.first || index >= this.end) throw damaged(this.log, `entry ${index}`);
    const contents = this.#contents;
    if (contents === null) throw archiveMissing();
    return this.#demandWhole(() => contents.at(index - this.first));
  }

  #demandWhole<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      const says = `log ${this.log} has a damaged block at entry ${this.first}: run an audit`;
      throw new AntequemError('log-damaged', says, { cause });
    }
  }

  /** @throws AntequemError `log-damaged` */
  leafHash(index: number): Uint8Array {
    const at = HASH_SIZE * (index - this.#row.leaves_from);
    const leaf = at < 0 ? null : this.#row.leaves?.subarray(at, at + HASH_SIZE);
    if (leaf?.length !== HASH_SIZE) throw damaged(this.log, `a tile for entry ${index}`);
    return new Uint8Array(leaf);
  }

  /** 32 bytes. */
  commitment(index: number): Uint8Array {
    const content = this.content(index);
    return commitmentOf(content, digestOf(content));
  }

  /**
   * The leaf hash of an entry as the entry behind names it. It is the stored one, unless only the one that was made fits
   * the entry behind: then the tile was altered, which must not spoil the entries.
   */
  chained(index: number, made: Uint8Array): Uint8Array {
    const kept = this.leafHash(index);
    if (index + 1 === this.end || equalBytes(kept, made)) return kept;
    const next = { receivedAt: this.receivedAt(index + 1), previous: made, commitment: this.commitment(index + 1) };
    return equalBytes(entryLeafHash(next), this.leafHash(index + 1)) ? made : kept;
  }

  /** Null once erased. */
  digest(index: number): Uint8Array | null {
    return digestOf(this.content(index));
  }

  payload(index: number): Uint8Array | null {
    const content = this.content(index);
    return content.kind === 'payload' ? content.payload : null;
  }

  /** What is told of an entry; it keeps nothing of the block in memory. */
  entry(index: number): StoredEntry {
    const content = this.content(index);
    const digest = digestOf(content);
    return {
      index,
      receivedAt: this.receivedAt(index),
      commitment: commitmentOf(content, digest),
      leafHash: this.leafHash(index),
      secret:
        content.kind === 'erased' || digest === null
          ? null
          : { digest: new Uint8Array(digest), nonce: new Uint8Array(content.nonce) },
      payloadSize: content.kind === 'payload' ? content.payload.length : null,
    };
  }
}

/** Null once erased. */
export function digestOf(content: StoredContent): Uint8Array | null {
  if (content.kind === 'payload') return sha256(content.payload);
  return content.kind === 'digest' ? content.digest : null;
}

/** 32 bytes. @param digest as {@link digestOf} has it */
export function commitmentOf(content: StoredContent, digest: Uint8Array | null): Uint8Array {
  if (content.kind === 'erased') return new Uint8Array(content.commitment);
  return commitTo(digest ?? new Uint8Array(0), content.nonce);
}

function timeOf({ received_at, times }: Pick<BlockRow, 'received_at' | 'times'>, position: number): number {
  return times === null ? received_at : readU64(times, 8 * position);
}

export function damaged(log: number | string, what: string): AntequemError {
  return new AntequemError('log-damaged', `log ${log} lacks ${what}: run an audit`);
}

/** Where an entry is. */
export interface EntryPlace {
  readonly log: number;
  readonly index: number;
}

/**
 * The blocks of these entries, each read once; null for an entry that is not there. They have the leaf hashes of these
 * entries and, as far as they lie in the same block, of those before them. Contents in the archive are not fetched.
 */
export async function readBlocks(db: Queryable, places: readonly EntryPlace[]): Promise<(OpenBlock | null)[]> {
  const { rows } = await db.query<BlockRow>({
    name: 'read-blocks',
    text: `SELECT ${columns('greatest(least(k.low, b.first + b.count) - 1, b.first)', 'least(k.high + 1, b.first + b.count)')}
           FROM (SELECT q.log, (SELECT first FROM blocks WHERE log = q.log AND first <= q.index
                                ORDER BY first DESC LIMIT 1) AS first, min(q.index) AS low, max(q.index) AS high
                 FROM unnest($1::int[], $2::bigint[]) AS q (log, index) GROUP BY 1, 2) AS k
           JOIN blocks b ON b.log = k.log AND b.first = k.first`,
    values: [places.map(({ log }) => log), places.map(({ index }) => index)],
  });
  const opened = Map.groupBy(
    rows.map((row) => new OpenBlock(row)),
    (block) => `${block.log}/${Math.floor(block.first / TILE_WIDTH)}`,
  );
  return places.map(({ log, index }) => {
    const near = opened.get(`${log}/${Math.floor(index / TILE_WIDTH)}`) ?? [];
    return near.find(({ first, end }) => first <= index && index < end) ?? null;
  });
}

/** What is read at a time. */
const PAGE_BLOCKS = 64;
const PAGE_BYTES = 4 << 20;

/**
 * The blocks with entries [begin, end), in order, some megabytes at a time.
 * @throws AntequemError `log-damaged`, and as {@link BlockArchive}
 */
export async function* blocksBetween(
  db: Queryable,
  log: { readonly id: number; readonly name: string },
  begin: number,
  end: number,
  archive: BlockArchive | null = null,
): AsyncGenerator<OpenBlock> {
  let at = begin;
  while (at < end) {
    const { rows } = await db.query<BlockRow>({
      name: 'blocks-between',
      text: `SELECT ${columns('b.first', 'b.first + b.count')}
             FROM (SELECT *, row_number() OVER w AS n, sum(bytes) OVER w AS total
                   FROM (SELECT * FROM blocks WHERE log = $1 AND first > $2::bigint - ${TILE_WIDTH} AND first < $3
                           AND first + count > $2 ORDER BY first LIMIT ${PAGE_BLOCKS}) AS page
                   WINDOW w AS (ORDER BY first)) AS b
             WHERE n = 1 OR total <= ${PAGE_BYTES} ORDER BY b.first`,
      values: [log.id, at, end],
    });
    if (rows.length === 0) throw damaged(log.name, `entry ${at}`);
    const blocks = rows.map((row) => new OpenBlock(row));
    const opening = blocks.map((block) => block.opened(archive));
    // One that fails is met below, unless the caller stops before.
    for (const each of opening) each.catch(() => {});
    for (const [i, block] of blocks.entries()) {
      if (block.first > at || block.end <= at) throw damaged(log.name, `entry ${at}`);
      yield (await opening[i]) ?? block;
      at = block.end;
    }
  }
}

/** When an entry was received, milliseconds; null where it is not there. Reads nothing of its content. */
export async function receivedAt(db: Queryable, { log, index }: EntryPlace): Promise<number | null> {
  const { rows } = await db.query<{ at: number }>({
    name: 'received-at',
    text: `SELECT time_in_block(b, $2) AS at FROM blocks b
           WHERE log = $1 AND first <= $2 AND first > $2::bigint - ${TILE_WIDTH} AND first + count > $2 ORDER BY first DESC LIMIT 1`,
    values: [log, index],
  });
  return rows[0]?.at ?? null;
}

/**
 * Adds blocks of one log; its first parameters are {@link blockValues}. One value is taken apart: there is next to nothing
 * to escape, parse or look up for each row.
 */
export const INSERT_BLOCKS = `INSERT INTO blocks (log, first, count, received_at, times, leaves, erased, bytes, content)
  SELECT $1::int, first, count, received_at,
         CASE WHEN times > 0 THEN substring($2::bytea FROM at FOR times) END,
         CASE WHEN leaves > 0 THEN substring($2::bytea FROM at + times FOR leaves) END,
         erased::smallint[], bytes, substring($2::bytea FROM at + times + leaves FOR content)
  FROM unnest($3::bigint[], $4::int[], $5::bigint[], $6::int[], $7::int[], $8::text[], $9::int[], $10::int[], $11::int[])
    AS b (first, count, received_at, times, leaves, erased, bytes, content, at)`;

/** Adds blocks of one log. */
export async function insertBlocks(tx: Queryable, log: number, blocks: readonly Block[]): Promise<void> {
  if (blocks.length === 0) return;
  await tx.query({ name: 'insert-blocks', text: INSERT_BLOCKS, values: blockValues(log, blocks) });
}

/** The 11 parameters of {@link INSERT_BLOCKS}. */
export function blockValues(log: number, blocks: readonly Block[]): unknown[] {
  const parts: Uint8Array[] = [];
  const offsets: number[] = [];
  let offset = 1;
  for (const { times, leaves, content } of blocks) {
    offsets.push(offset);
    for (const part of [times, leaves, content]) {
      if (part === null) continue;
      parts.push(part);
      offset += part.length;
    }
  }
  const numbers = (of: (block: Block) => number): string => `{${blocks.map(of).join(',')}}`;
  return [
    log,
    Buffer.concat(parts, offset - 1),
    numbers(({ first }) => first),
    numbers(({ count }) => count),
    numbers((block) => block.receivedAt),
    numbers(({ times }) => times?.length ?? 0),
    numbers(({ leaves }) => leaves?.length ?? 0),
    `{${blocks.map(({ erased }) => `"{${erased.join(',')}}"`).join(',')}}`,
    numbers(({ bytes }) => bytes),
    numbers(({ content }) => content.length),
    `{${offsets.join(',')}}`,
  ];
}

/** A u64 for each of these times, milliseconds; null where all are the same. */
export function packTimes(times: readonly number[]): Uint8Array | null {
  if (areSame(times)) return null;
  const packed = new Uint8Array(8 * times.length);
  for (const [i, time] of times.entries()) writeU64(packed, 8 * i, time);
  return packed;
}

function areSame(times: readonly number[]): boolean {
  for (const time of times) if (time !== times[0]) return false;
  return true;
}
