// What a commit adds to a log: the blocks of its entries, and where it completes a tile, the small blocks of that tile
// put together.

import { readU64 } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { Queryable } from '../../store/database.ts';
import { MAX_BLOCK_BYTES, packContents, type StoredContent, unpackContents } from './block.ts';
import { packAside } from './block-packer.ts';
import { type Block, packTimes } from './blocks.ts';

/** Blocks with payloads of this many bytes at most are put together. */
const SMALL_BYTES = 16 << 10;

/** Payloads of this many bytes at most are packed at once: to hand them to another thread costs more than it saves. */
const PACKED_HERE_BYTES = 64 << 10;

/** The entries of a block. */
export interface Piece {
  readonly first: number;
  readonly times: readonly number[];
  readonly contents: readonly StoredContent[];
  readonly erased: readonly number[];
  readonly bytes: number;
}

/** Entries that follow one another. */
export interface EntryRun {
  readonly first: number;
  /** Milliseconds, for each entry. */
  readonly times: readonly number[];
  readonly contents: readonly StoredContent[];
  /** 32 bytes for each entry. */
  readonly leaves: Uint8Array;
  /** Bytes of a nonce. */
  readonly nonceSize: number;
  /** Of the log once it has them. */
  readonly size: number;
  /** Contents that are packed already, of whole tiles by their first index. */
  readonly packed?: ReadonlyMap<number, Promise<Uint8Array>>;
}

/** What a commit adds. */
export interface FreshBlocks {
  readonly blocks: readonly Block[];
  /** The blocks of the tile that is open then, as far as the commit adds them, in memory of their own; null for a large one. */
  readonly open: readonly (Piece | null)[];
}

/** The blocks of a run. @param tail what the commit put in the place of older blocks; null: nothing */
export async function blocksOf(run: EntryRun, tail: Tail | null = null): Promise<FreshBlocks> {
  const [joined, ...fresh] = cut(run);
  if (joined === undefined) return { blocks: [], open: [] };
  const pieces =
    tail === null ? [joined, ...fresh] : [...tail.joined.slice(0, -1), ...joinLast(tail, joined), ...fresh];
  return {
    blocks: await Promise.all(pieces.map((piece) => packed(piece, run))),
    open: pieces
      .filter(({ first }) => first >= run.size - (run.size % TILE_WIDTH))
      .map((piece) => (piece.bytes <= SMALL_BYTES ? owned(piece) : null)),
  };
}

/** With copies of its payloads: those that came are parts of the body of a request. */
function owned(piece: Piece): Piece {
  const memory = Buffer.allocUnsafeSlow(piece.bytes);
  let at = 0;
  const contents = piece.contents.map((content): StoredContent => {
    if (content.kind !== 'payload') return content;
    const payload = memory.subarray(at, at + content.payload.length);
    payload.set(content.payload);
    at += payload.length;
    return { kind: 'payload', payload, nonce: content.nonce };
  });
  return { ...piece, contents };
}

async function packed({ first, times, contents, erased, bytes }: Piece, run: EntryRun): Promise<Block> {
  const isOpen = first + TILE_WIDTH - (first % TILE_WIDTH) > run.size;
  const at = HASH_SIZE * (first - run.first);
  return {
    first,
    count: contents.length,
    receivedAt: times[0] ?? 0,
    times: packTimes(times),
    leaves: isOpen ? run.leaves.subarray(at, at + HASH_SIZE * contents.length) : null,
    erased,
    bytes,
    content: await ((contents.length === TILE_WIDTH ? run.packed?.get(first) : null) ??
      (bytes <= PACKED_HERE_BYTES ? packContents(contents, run.nonceSize) : packAside(contents, run.nonceSize))),
  };
}

/** Each within one tile, and none larger than a block may be. */
function cut({ first, times, contents }: EntryRun): Piece[] {
  const pieces: Piece[] = [];
  let begin = 0;
  let bytes = 0;
  const close = (end: number): void => {
    if (end === begin) return;
    const some = contents.slice(begin, end);
    const erased = some.flatMap(({ kind }, position) => (kind === 'erased' ? [position] : []));
    pieces.push({ first: first + begin, times: times.slice(begin, end), contents: some, erased, bytes });
    begin = end;
    bytes = 0;
  };
  for (const [i, content] of contents.entries()) {
    const size = content.kind === 'payload' ? content.payload.length : 0;
    if ((first + i) % TILE_WIDTH === 0 || bytes + size > MAX_BLOCK_BYTES) close(i);
    bytes += size;
  }
  close(contents.length);
  return pieces;
}

/** The older blocks of a tile that a commit completes, as far as they are put together. */
export interface Tail {
  /** Where the blocks begin that go. */
  readonly replaced: readonly number[];
  /** How many of their entries are erased. */
  readonly erased: number;
  /** What takes their place; the last, if it ends where the log does, takes in entries of the commit. */
  readonly joined: readonly Piece[];
}

interface TailRow {
  first: number;
  count: number;
  received_at: number;
  times: Uint8Array | null;
  bytes: number;
  /** Of a small block. */
  content: Uint8Array | null;
}

/**
 * Reads the small blocks of the open tile of a log with `size` entries. Runs under the lock of the log's row, as erasure
 * does. What is damaged stays as it is, for an audit to find.
 */
export async function readTail(tx: Queryable, log: number, size: number): Promise<Tail | null> {
  const { rows } = await tx.query<TailRow>({
    name: 'read-tail',
    text: `SELECT first, count, received_at, times, bytes, CASE WHEN bytes <= ${SMALL_BYTES} THEN content END AS content
           FROM blocks WHERE log = $1 AND first >= $2 AND first < $3 ORDER BY first`,
    values: [log, size - (size % TILE_WIDTH), size],
  });
  return tailOf(
    rows.map((row) => (row.content === null ? null : pieceOf(row, row.content))),
    size,
  );
}

/**
 * The tail of a log with `size` entries.
 * @param pieces all blocks of the open tile; null for one that stays as it is
 */
export function tailOf(pieces: readonly (Piece | null)[], size: number): Tail | null {
  const groups: Piece[][] = [[]];
  let bytes = 0;
  for (const piece of pieces) {
    const group = groups.at(-1) ?? [];
    const previous = group.at(-1);
    const follows = previous === undefined || piece?.first === previous.first + previous.contents.length;
    if (piece !== null && follows && bytes + piece.bytes <= MAX_BLOCK_BYTES) {
      group.push(piece);
      bytes += piece.bytes;
    } else {
      groups.push(piece === null ? [] : [piece]);
      bytes = piece?.bytes ?? 0;
    }
  }
  const last = groups.at(-1) ?? [];
  // A single block is replaced by nothing but one that takes in more.
  const kept = groups.filter((group) => group.length > 1 || (group === last && endsAt(group, size)));
  if (kept.length === 0) return null;
  const joined = kept.map(join);
  return {
    replaced: kept.flatMap((group) => group.map(({ first }) => first)),
    erased: joined.reduce((sum, { erased }) => sum + erased.length, 0),
    joined,
  };
}

function pieceOf(row: TailRow, content: Uint8Array): Piece | null {
  const { first, count, bytes, times } = row;
  let contents: StoredContent[];
  try {
    contents = unpackContents(content, count);
  } catch (error) {
    if (error instanceof AntequemError) return null;
    throw error;
  }
  return {
    first,
    times: contents.map((_, i) => (times === null ? row.received_at : readU64(times, 8 * i))),
    contents,
    erased: contents.flatMap(({ kind }, position) => (kind === 'erased' ? [position] : [])),
    bytes,
  };
}

function join(pieces: readonly Piece[]): Piece {
  const first = pieces[0]?.first ?? 0;
  return {
    first,
    times: pieces.flatMap(({ times }) => times),
    contents: pieces.flatMap(({ contents }) => contents),
    erased: pieces.flatMap((piece) => piece.erased.map((position) => piece.first - first + position)),
    bytes: bytesOf(pieces),
  };
}

/** The last piece of the tail together with the first of the commit, where the one follows the other. */
function joinLast({ joined }: Tail, fresh: Piece): Piece[] {
  const last = joined.at(-1);
  if (last === undefined) return [fresh];
  const follows = last.first + last.contents.length === fresh.first;
  return follows && last.bytes + fresh.bytes <= MAX_BLOCK_BYTES ? [join([last, fresh])] : [last, fresh];
}

const endsAt = (group: readonly Piece[], size: number): boolean => {
  const last = group.at(-1);
  return last !== undefined && last.first + last.contents.length === size;
};

const bytesOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, { bytes }) => sum + bytes, 0);
