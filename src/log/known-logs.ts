import type { CompactRange } from '../core/compact-range.ts';
import type { Queryable } from '../store/database.ts';
import type { Piece } from './blocks/fresh-blocks.ts';
import { readCompactRange } from './blocks/head.ts';
import type { ChainedHead } from './placement.ts';
import { setBack } from './rollback.ts';

/** What a process remembers of a log: the head of its last commit to it, and the tree there. */
export interface KnownLog {
  readonly head: ChainedHead;
  readonly range: CompactRange;
  /** All blocks of the open tile, null for a large one; null: they are not remembered. */
  readonly open: readonly (Piece | null)[] | null;
}

/** 24 kB each at the most, beside the blocks of open tiles. */
const MAX_LOGS = 2_000;
/** Bytes of payloads in the open tile of a log that are remembered, and of all logs together. */
const MAX_OPEN_BYTES = 512 << 10;
const MAX_ALL_OPEN_BYTES = 16 << 20;

/** The logs that a process appends to. What it remembers is valid only while the database has the same head. */
export class KnownLogs {
  /** A commit takes the memory out and changes it; the size stays. */
  readonly #logs = new Map<number, { readonly size: number; readonly known: KnownLog | null }>();
  /** Bytes of each log's open tile. */
  readonly #open = new Map<number, number>();
  #openBytes = 0;

  /** Takes out what is remembered; null: nothing is, or a commit has it. */
  take(log: number): KnownLog | null {
    const known = this.#logs.get(log)?.known ?? null;
    if (known !== null) this.#logs.set(log, { size: known.head.size, known: null });
    this.#count(log, 0);
    return known;
  }

  /**
   * Takes out the tree of a log that has this size in the database: as it is remembered, or else read.
   * @throws AntequemError `database-set-back` where the log was larger before
   */
  async takeAt(tx: Queryable, log: number, size: number): Promise<CompactRange> {
    const before = this.sizeOf(log);
    if (before !== null && before > size) throw setBack(`log ${log} has ${size} entries and had ${before}`);
    const range = this.take(log)?.range;
    return range?.size === size ? range : readCompactRange(tx, log, size);
  }

  /** The size at the last commit; null: it is not remembered. */
  sizeOf(log: number): number | null {
    return this.#logs.get(log)?.size ?? null;
  }

  /** Remembers a durable head. */
  keep(log: number, { head, range, open }: KnownLog): void {
    const bytes = open === null ? 0 : heldBytes(open);
    const fits = bytes <= MAX_OPEN_BYTES && this.#openBytes + bytes <= MAX_ALL_OPEN_BYTES;
    if (fits) this.#count(log, bytes);
    this.#remember(log, head.size, { head, range, open: fits ? open : null });
  }

  /** Remembers the size of a durable head alone: the next commit has taken the rest already. */
  keepSize(log: number, size: number): void {
    this.#remember(log, size, null);
  }

  #remember(log: number, size: number, known: KnownLog | null): void {
    this.#logs.set(log, { size, known });
    if (this.#logs.size <= MAX_LOGS) return;
    for (const oldest of this.#logs.keys()) {
      this.#count(oldest, 0);
      this.#logs.delete(oldest);
      return;
    }
  }

  /** Forgets the entries of the open tile: what may be erased must not stay in memory for long. */
  forgetOpen(log: number): void {
    const entry = this.#logs.get(log);
    this.#count(log, 0);
    if (entry === undefined || entry.known === null) return;
    this.#logs.set(log, { size: entry.size, known: { ...entry.known, open: null } });
  }

  #count(log: number, bytes: number): void {
    this.#openBytes += bytes - (this.#open.get(log) ?? 0);
    if (bytes === 0) this.#open.delete(log);
    else this.#open.set(log, bytes);
  }
}

/** Of the memory that payloads lie in, which those of a piece may share: a small one may be a view of a large body. */
function heldBytes(pieces: readonly (Piece | null)[]): number {
  let bytes = 0;
  for (const piece of pieces) {
    if (piece === null) continue;
    const held = HELD.get(piece) ?? heldBy(piece);
    HELD.set(piece, held);
    bytes += held;
  }
  return bytes;
}

/** A piece is asked for at each commit until its tile is complete. */
const HELD = new WeakMap<Piece, number>();

function heldBy({ contents }: Piece): number {
  const memory = new Set<ArrayBufferLike>();
  for (const content of contents) if (content.kind === 'payload') memory.add(content.payload.buffer);
  let bytes = 0;
  for (const { byteLength } of memory) bytes += byteLength;
  return bytes;
}
