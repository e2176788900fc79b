// Cuts a stream of bytes into batches of whole lines, without changing a byte, in bounded memory.

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';
import { within } from '../core/time-limit.ts';

/** Whole lines, with newlines and blank lines; or the digest of one line that is larger than an entry. */
export interface LineBatch {
  /** The lines; empty if there is a digest. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The digest of a line that is larger than an entry, without its newline; null for ordinary lines. */
  readonly long: LongLine | null;
  /** Bytes of the input that the batch covers. */
  readonly bytes: number;
  /** Lines that are entries: those that are not blank. */
  readonly entries: number;
  /** All lines. */
  readonly lines: number;
}

export interface LongLine {
  /** SHA-256 in lower-case hex. */
  readonly digest: string;
  /** Bytes, without the newline. */
  readonly length: number;
  /** Its position, for messages. */
  readonly at: StreamPosition;
  /** The first and the last bytes that the batch covers, at most 1,024 each. */
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

export interface BatchLimits {
  /** Lines of a batch. */
  readonly lines: number;
  /** Bytes of a batch; more than MAX_ENTRY_BYTES, so that the largest entry fits. */
  readonly bytes: number;
}

const EDGE_BYTES = 1_024;

/** The position of a line, for messages. */
export interface StreamPosition {
  readonly offset: number;
  /** From 1; null if the lines before it were not counted. */
  readonly line: number | null;
}

/** The message about a line that is logged by its digest. */
export function longLineNote({ length, at: { line, offset } }: LongLine): string {
  const where = line === null ? `the line at byte ${offset}` : `line ${line}, at byte ${offset},`;
  return `${where} has ${length} bytes; a line of more than ${MAX_ENTRY_BYTES} is logged only as a digest`;
}

/** Collects bytes until a batch is full and returns whole lines. Each byte is scanned once. */
export class LineBuffer {
  readonly #limits: BatchLimits;
  readonly #buffer: Buffer;
  #length = 0;
  #scanned = 0;
  #lineStart = 0;
  #lines = 0;
  #entries = 0;
  #offset: number;
  #line: number | null;
  /** The current line if it is larger than an entry: its bytes are hashed as they arrive and not kept. */
  #long: LongLineHash | null = null;
  /** Such a line begins after the whole lines in the buffer. */
  #blocked = false;

  constructor(limits: BatchLimits, start: StreamPosition) {
    this.#limits = limits;
    this.#buffer = Buffer.allocUnsafeSlow(limits.bytes);
    this.#offset = start.offset;
    this.#line = start.line;
  }

  /** Drops its content; the next bytes begin at `start`. */
  reset(start: StreamPosition): void {
    this.#length = 0;
    this.#offset = start.offset;
    this.#line = start.line;
    this.#long = null;
    this.#nothingSeen();
  }

  /** Offset of the next byte of an unfinished line that is hashed as it arrives; null if there is none. */
  get unfinished(): number | null {
    return this.#long === null || this.#long.ended ? null : this.#offset + this.#long.length;
  }

  /** Whether the buffer has a whole line. */
  get whole(): boolean {
    return this.#lines > 0 || this.#long?.ended === true;
  }

  /** Whether a batch must be taken before more bytes go in. */
  get full(): boolean {
    const { lines } = this.#limits;
    return this.#lines >= lines || this.#length === this.#buffer.length || this.#blocked || this.#long?.ended === true;
  }

  /** The free part of the buffer. Bytes written there count after a call of `wrote`. */
  get space(): Uint8Array {
    return this.#buffer.subarray(this.#length);
  }

  wrote(bytes: number): void {
    this.#length += bytes;
    this.#scan();
  }

  /** Copies as many bytes as fit. @returns how many */
  push(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#buffer.length - this.#length);
    this.#buffer.set(chunk.subarray(0, taken), this.#length);
    this.wrote(taken);
    return taken;
  }

  /**
   * The whole lines in the buffer, or null. With `final` no bytes follow, so a last line without a newline counts too.
   */
  take(final = false): LineBatch | null {
    if (this.#long !== null) return this.#takeLong(this.#long, final);
    if (final && this.#lines < this.#limits.lines && this.#scanned === this.#length && this.#length > this.#lineStart) {
      this.#count(this.#length);
      this.#lineStart = this.#length;
    }
    if (this.#lines === 0) return null;
    const end = this.#lineStart;
    const body = new Uint8Array(this.#buffer.subarray(0, end));
    const batch = { body, long: null, bytes: end, entries: this.#entries, lines: this.#lines };
    this.#drop(end);
    this.#moveOn(end, this.#lines);
    return batch;
  }

  #takeLong(long: LongLineHash, final: boolean): LineBatch | null {
    if (final) long.ended = true;
    if (!long.ended) return null;
    const at = { offset: this.#offset, line: this.#line };
    const bytes = long.length + (long.newline ? 1 : 0);
    this.#long = null;
    this.#moveOn(bytes, 1);
    const entries = long.blank ? 0 : 1;
    return { body: new Uint8Array(0), long: { ...long.line(), at }, bytes, entries, lines: 1 };
  }

  #moveOn(bytes: number, lines: number): void {
    this.#offset += bytes;
    if (this.#line !== null) this.#line += lines;
    this.#nothingSeen();
    this.#scan();
  }

  #drop(bytes: number): void {
    this.#buffer.copyWithin(0, bytes, this.#length);
    this.#length -= bytes;
  }

  #nothingSeen(): void {
    this.#scanned = 0;
    this.#lineStart = 0;
    this.#lines = 0;
    this.#entries = 0;
    this.#blocked = false;
  }

  #scan(): void {
    if (this.#long !== null) {
      this.#hash(this.#long);
      return;
    }
    const filled = this.#buffer.subarray(0, this.#length);
    while (this.#lines < this.#limits.lines) {
      const newline = filled.indexOf(NEWLINE, this.#scanned);
      const end = newline === -1 ? this.#length : newline;
      if (end - this.#lineStart > MAX_ENTRY_BYTES) {
        this.#blocked = this.#lines > 0;
        if (this.#blocked) return;
        this.#long = new LongLineHash();
        this.#hash(this.#long);
        return;
      }
      this.#scanned = newline === -1 ? end : newline + 1;
      if (newline === -1) return;
      this.#count(newline);
      this.#lineStart = newline + 1;
    }
  }

  #count(end: number): void {
    this.#lines++;
    if (!isBlank(this.#buffer, this.#lineStart, end)) this.#entries++;
  }

  /** Takes the bytes of the line out of the buffer. */
  #hash(long: LongLineHash): void {
    if (long.ended) return;
    const newline = this.#buffer.subarray(0, this.#length).indexOf(NEWLINE);
    const end = newline === -1 ? this.#length : newline;
    long.add(this.#buffer.subarray(0, end));
    if (newline !== -1) long.end();
    this.#drop(newline === -1 ? end : newline + 1);
  }
}

/** A line of any length. Only its digest and its first and last bytes are kept. */
class LongLineHash {
  readonly #hash = createHash('sha256');
  #first = Buffer.alloc(0);
  #last = Buffer.alloc(0);
  #length = 0;
  blank = true;
  ended = false;
  newline = false;

  get length(): number {
    return this.#length;
  }

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#length += bytes.length;
    this.blank &&= isBlank(bytes);
    this.#edges(bytes);
  }

  end(): void {
    this.ended = true;
    this.newline = true;
    this.#edges(Uint8Array.of(NEWLINE));
  }

  line(): Omit<LongLine, 'at'> {
    return { digest: this.#hash.digest('hex'), length: this.#length, first: this.#first, last: this.#last };
  }

  #edges(bytes: Uint8Array): void {
    if (this.#first.length < EDGE_BYTES) {
      this.#first = Buffer.concat([this.#first, bytes.subarray(0, EDGE_BYTES - this.#first.length)]);
    }
    this.#last = Buffer.concat([this.#last, bytes.subarray(-EDGE_BYTES)]).subarray(-EDGE_BYTES);
  }
}

/**
 * Batches of the lines of a stream, in order. If bytes arrive slowly, whole lines are returned after `linger`
 * milliseconds.
 */
export async function* lineBatches(
  chunks: AsyncIterable<Uint8Array>,
  limits: BatchLimits,
  linger: number,
): AsyncGenerator<LineBatch> {
  const lines = new LineBuffer(limits, { offset: 0, line: 1 });
  const source = chunks[Symbol.asyncIterator]();
  let next = nextOf(source);
  try {
    for (;;) {
      const got = lines.whole ? await within(linger, next, () => null) : await next;
      if (got !== null) {
        if (got.done === true) break;
        for (let at = 0; at < got.value.length; ) {
          at += lines.push(got.value.subarray(at));
          if (lines.full) yield* taken(lines.take());
        }
        next = nextOf(source);
      } else {
        yield* taken(lines.take());
      }
    }
    for (let batch = lines.take(true); batch !== null; batch = lines.take(true)) yield batch;
  } finally {
    // Not awaited: a pipe that stays silent would block its reader here.
    source.return?.().catch(() => {});
  }
}

function* taken(batch: LineBatch | null): Generator<LineBatch> {
  if (batch !== null) yield batch;
}

function nextOf(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  const next = source.next();
  // An error that happens while a batch is being sent is thrown at the next await of this promise.
  next.catch(() => {});
  return next;
}
