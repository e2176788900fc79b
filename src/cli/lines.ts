// A stream of bytes cut into batches of whole lines, byte for byte as they are, in bounded memory.

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';
import { within } from '../core/time-limit.ts';

/** Whole lines, newlines and blank lines included; or one line that is larger than an entry, known by its digest. */
export interface LineBatch {
  /** The lines; empty where there is a digest. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Of a line that is larger than an entry, without its newline; null for lines that are entries as they are. */
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
  /** Its place, for messages. */
  readonly at: StreamPosition;
  /** The first and the last bytes of what the batch covers, 1,024 at most. */
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

export interface BatchLimits {
  /** Lines of a batch. */
  readonly lines: number;
  /** Bytes of a batch; more than MAX_ENTRY_BYTES, so that every line allowed fits. */
  readonly bytes: number;
}

const EDGE_BYTES = 1_024;

/** The place of a line, for messages. */
export interface StreamPosition {
  readonly offset: number;
  /** From 1; null where the lines before were not counted. */
  readonly line: number | null;
}

/** What a message says of a line that is logged by its digest. */
export function longLineNote({ length, at: { line, offset } }: LongLine): string {
  const where = line === null ? `the line at byte ${offset}` : `line ${line}, at byte ${offset},`;
  return `${where} has ${length} bytes; more than ${MAX_ENTRY_BYTES} are logged by their digest alone`;
}

/** Takes bytes in until a batch is full, gives whole lines out. Each byte is looked at once. */
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
  /** A line that has become larger than an entry: its bytes are hashed as they come, not kept. */
  #long: LongLineHash | null = null;
  /** Behind the whole lines at hand begins such a line. */
  #blocked = false;

  constructor(limits: BatchLimits, start: StreamPosition) {
    this.#limits = limits;
    this.#buffer = Buffer.allocUnsafeSlow(limits.bytes);
    this.#offset = start.offset;
    this.#line = start.line;
  }

  /** Forgets what it holds; what follows begins at `start`. */
  reset(start: StreamPosition): void {
    this.#length = 0;
    this.#offset = start.offset;
    this.#line = start.line;
    this.#long = null;
    this.#nothingSeen();
  }

  /** Where the bytes of an unfinished line go on that is hashed as it comes; null: there is none. */
  get unfinished(): number | null {
    return this.#long === null || this.#long.ended ? null : this.#offset + this.#long.length;
  }

  /** Whether there is a whole line. */
  get whole(): boolean {
    return this.#lines > 0 || this.#long?.ended === true;
  }

  /** Whether a batch must be taken before more bytes go in. */
  get full(): boolean {
    const { lines } = this.#limits;
    return this.#lines >= lines || this.#length === this.#buffer.length || this.#blocked || this.#long?.ended === true;
  }

  /** Where the next bytes go. What is written there counts once `wrote` says so. */
  get space(): Uint8Array {
    return this.#buffer.subarray(this.#length);
  }

  wrote(bytes: number): void {
    this.#length += bytes;
    this.#scan();
  }

  /** Takes in as much as there is room for, and says how much that was. */
  push(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#buffer.length - this.#length);
    this.#buffer.set(chunk.subarray(0, taken), this.#length);
    this.wrote(taken);
    return taken;
  }

  /**
   * The whole lines at hand, or null. `final` says that no byte will follow: then a last line without its newline
   * is a line too.
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

/** A line of any length, of which its digest and its edges are kept. */
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
 * Batches of the lines of a stream, in order. Where bytes come slowly, what is whole goes out after `linger`
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
    // Not awaited: a pipe that never speaks again would hold its reader here.
    source.return?.().catch(() => {});
  }
}

function* taken(batch: LineBatch | null): Generator<LineBatch> {
  if (batch !== null) yield batch;
}

function nextOf(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  const next = source.next();
  // A failure that comes while a batch is being sent is met at the next await of it.
  next.catch(() => {});
  return next;
}
