// The table of blocks: reads entries for the rest of the service. Appending, erasing and archiving write blocks beside it.

import { writeU64 } from '../../core/bytes.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { Queryable } from '../../store/database.ts';
import { ARCHIVED_COLUMN, type BlockArchive } from './archived-block.ts';
import { type BlockRow, damaged, OpenBlock } from './open-block.ts';
import { type KnownBlockRow, RememberedContents, tileKey } from './remembered-contents.ts';

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

/** The hashes of the tile that block `b` is in. */
const OWN_TILE = `(SELECT t.hashes FROM tiles t WHERE t.log = b.log AND t.level = 0 AND t.index = b.first / ${TILE_WIDTH})`;

/**
 * The columns of blocks `b`, with the leaf hashes of entries [from, end), out of the tile where the block has none.
 * @param tile SQL of the hashes of its tile
 */
const columns = (from: string, end: string, content: string, tile: string): string => `
  b.log, b.first, b.count, b.received_at, b.times, ${content} AS content, ${ARCHIVED_COLUMN}, ${from} AS leaves_from,
  coalesce(substring(b.leaves FROM (${HASH_SIZE} * (${from} - b.first) + 1)::int FOR (${HASH_SIZE} * (${end} - ${from}))::int),
           substring(${tile} FROM (${HASH_SIZE} * (${from} % ${TILE_WIDTH}) + 1)::int FOR (${HASH_SIZE} * (${end} - ${from}))::int)
  ) AS leaves`;

/**
 * The columns of a {@link KnownBlockRow}: the content of block `b` only if it is not known.
 * @param known SQL of the number of erased entries in what is known of it; NULL: nothing is
 */
export const knownBlockColumns = (from: string, end: string, known: string, tile: string = OWN_TILE): string =>
  `${columns(from, end, `CASE WHEN ${known} = cardinality(b.erased) THEN NULL ELSE b.content END`, tile)},
   cardinality(b.erased) AS erased, b.bytes`;

/** Where an entry is. */
export interface EntryPlace {
  readonly log: number;
  readonly index: number;
}

/** Of these places. Made once: it is long. */
const reading = (places: string): string => `
  SELECT ${knownBlockColumns('greatest(least(k.low, b.first + b.count) - 1, b.first)', 'least(k.high + 1, b.first + b.count)', 'k.known')}
  FROM (SELECT q.log, (SELECT first FROM blocks WHERE log = q.log AND first <= q.index
                       ORDER BY first DESC LIMIT 1) AS first, min(q.index) AS low, max(q.index) AS high, max(q.known) AS known
        FROM ${places} GROUP BY 1, 2) AS k
  JOIN blocks b ON b.log = k.log AND b.first = k.first`;
/** PostgreSQL plans the statement of one place once, and that of several each time. */
const READ_ONE = reading('(SELECT $1::int AS log, $2::bigint AS index, $3::int AS known) AS q');
const READ_SEVERAL = reading('unnest($1::int[], $2::bigint[], $3::int[]) AS q (log, index, known)');

/**
 * The blocks of these entries, each read once; null for an entry that is not there. They have the leaf hashes of these
 * entries and, as far as they lie in the same block, of those before them. Contents in the archive are not fetched.
 * @param remembered contents that need not be read again
 */
export async function readBlocks(
  db: Queryable,
  places: readonly EntryPlace[],
  remembered: RememberedContents = new RememberedContents(),
): Promise<(OpenBlock | null)[]> {
  const known = new Map(places.map(({ log, index }) => [tileKey(log, index), remembered.of(log, index)]));
  const isOne = places.length === 1;
  const values = [
    places.map(({ log }) => log),
    places.map(({ index }) => index),
    places.map(({ log, index }) => known.get(tileKey(log, index))?.erased ?? null),
  ];
  const { rows } = await db.query<KnownBlockRow>({
    name: `read-${isOne ? 'block' : 'blocks'}`,
    text: isOne ? READ_ONE : READ_SEVERAL,
    values: isOne ? values.flat() : values,
  });
  const opened = Map.groupBy(
    rows.map((row) => remembered.open(row, known.get(tileKey(row.log, row.first)))),
    (block) => tileKey(block.log, block.first),
  );
  return places.map(({ log, index }) => {
    const near = opened.get(tileKey(log, index)) ?? [];
    return near.find(({ first, end }) => first <= index && index < end) ?? null;
  });
}

/** What is read at a time. */
const PAGE_BLOCKS = 64;
const PAGE_BYTES = 4 << 20;

/** No leaf hashes but those that a block has itself: tiles are twice as long as most contents. */
const NO_TILE = 'NULL::bytea';

/** What is read of blocks that follow one another. */
export interface BlocksRead {
  /** Where contents are fetched that left the database; null: nowhere. */
  readonly archive: BlockArchive | null;
  /** Whether with the leaf hashes that are in tiles. */
  readonly tiles: boolean;
  /** Payloads that are read at a time have so many bytes at most, unless one block has more. Default 4 MiB. */
  readonly bytes?: number;
}

/**
 * The blocks with entries [begin, end), in order, some megabytes at a time.
 * @throws AntequemError `log-damaged`, and as {@link BlockArchive}
 */
export async function* blocksBetween(
  db: Queryable,
  log: { readonly id: number; readonly name: string },
  begin: number,
  end: number,
  read: BlocksRead,
): AsyncGenerator<OpenBlock> {
  for (let at = begin; at < end; ) {
    for await (const block of blocksFrom(db, log, at, end, read)) {
      yield block;
      at = block.end;
    }
  }
}

/** As many of {@link blocksBetween} as are read at a time. */
export async function* blocksFrom(
  db: Queryable,
  log: { readonly id: number; readonly name: string },
  begin: number,
  end: number,
  { archive, tiles, bytes = PAGE_BYTES }: BlocksRead,
): AsyncGenerator<OpenBlock> {
  const { rows } = await db.query<BlockRow>({
    name: `blocks-between${tiles ? '-with-leaves' : ''}`,
    text: `SELECT ${columns('b.first', 'b.first + b.count', 'b.content', tiles ? OWN_TILE : NO_TILE)}
           FROM (SELECT *, row_number() OVER w AS n, sum(bytes) OVER w AS total
                 FROM (SELECT * FROM blocks WHERE log = $1 AND first > $2::bigint - ${TILE_WIDTH} AND first < $3
                         AND first + count > $2 ORDER BY first LIMIT ${PAGE_BLOCKS}) AS page
                 WINDOW w AS (ORDER BY first)) AS b
           WHERE n = 1 OR total <= $4 ORDER BY b.first`,
    values: [log.id, begin, end, bytes],
  });
  if (rows.length === 0) throw damaged(log.name, `entry ${begin}`);
  const blocks = rows.map((row) => new OpenBlock(row));
  const opening = blocks.map((block) => block.opened(archive));
  // One that fails is met below, unless the caller stops before.
  for (const each of opening) each.catch(() => {});
  let at = begin;
  for (const [i, block] of blocks.entries()) {
    if (block.first > at || block.end <= at) throw damaged(log.name, `entry ${at}`);
    yield (await opening[i]) ?? block;
    at = block.end;
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
