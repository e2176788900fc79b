// A stream of bytes cut into batches of whole lines, byte for byte as they are, in bounded memory.

import { Buffer } from 'node:buffer';
import { AntequemError } from '../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';
import { within } from '../core/time-limit.ts';

/** Whole lines, newlines and blank lines included. */
export interface LineBatch {
  readonly body: Uint8Array<ArrayBuffer>;
  /** Lines that are entries: those that are not blank. */
  readonly entries: number;
  /** All lines. */
  readonly lines: number;
}

export interface BatchLimits {
  /** Lines of a batch. */
  readonly lines: number;
  /** Bytes of a batch; more than MAX_ENTRY_BYTES, so that every line allowed fits. */
  readonly bytes: number;
}

/** Where a line stands, for messages. */
export interface Position {
  readonly offset: number;
  /** From 1; null where the lines before were not counted. */
  readonly line: number | null;
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

  constructor(limits: BatchLimits, start: Position) {
    this.#limits = limits;
    this.#buffer = Buffer.allocUnsafeSlow(limits.bytes);
    this.#offset = start.offset;
    this.#line = start.line;
  }

  /** Forgets what it holds; what follows begins at `start`. */
  reset(start: Position): void {
    this.#length = 0;
    this.#offset = start.offset;
    this.#line = start.line;
    this.#nothingSeen();
  }

  /** Whether there is a whole line. */
  get whole(): boolean {
    return this.#lines > 0;
  }

  /** Whether a batch must be taken before more bytes go in. */
  get full(): boolean {
    return this.#lines >= this.#limits.lines || this.#length === this.#buffer.length;
  }

  /** Where the next bytes go. What is written there counts once `wrote` says so. */
  get space(): Uint8Array {
    return this.#buffer.subarray(this.#length);
  }

  /** @throws AntequemError `line-too-long` */
  wrote(bytes: number): void {
    this.#length += bytes;
    this.#scan();
  }

  /** Takes in as much as there is room for, and says how much that was. @throws AntequemError `line-too-long` */
  push(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#buffer.length - this.#length);
    this.#buffer.set(chunk.subarray(0, taken), this.#length);
    this.wrote(taken);
    return taken;
  }

  /**
   * The whole lines at hand, or null. `final` says that no byte will follow: then a last line without its newline
   * is a line too. @throws AntequemError `line-too-long`
   */
  take(final = false): LineBatch | null {
    if (final && this.#lines < this.#limits.lines && this.#scanned === this.#length && this.#length > this.#lineStart) {
      this.#count(this.#length);
      this.#lineStart = this.#length;
    }
    if (this.#lines === 0) return null;
    const end = this.#lineStart;
    const body = new Uint8Array(this.#buffer.subarray(0, end));
    const batch = { body, entries: this.#entries, lines: this.#lines };
    this.#buffer.copyWithin(0, end, this.#length);
    this.#length -= end;
    this.#offset += end;
    if (this.#line !== null) this.#line += this.#lines;
    this.#nothingSeen();
    this.#scan();
    return batch;
  }

  #nothingSeen(): void {
    this.#scanned = 0;
    this.#lineStart = 0;
    this.#lines = 0;
    this.#entries = 0;
  }

  #scan(): void {
    const filled = this.#buffer.subarray(0, this.#length);
    while (this.#lines < this.#limits.lines) {
      const newline = filled.indexOf(NEWLINE, this.#scanned);
      if (newline === -1) {
        this.#scanned = this.#length;
        this.#check(this.#length);
        return;
      }
      this.#check(newline);
      this.#count(newline);
      this.#scanned = newline + 1;
      this.#lineStart = newline + 1;
    }
  }

  #count(end: number): void {
    this.#lines++;
    if (!isBlank(this.#buffer, this.#lineStart, end)) this.#entries++;
  }

  #check(end: number): void {
    if (end - this.#lineStart <= MAX_ENTRY_BYTES) return;
    const where = this.#line === null ? '' : `line ${this.#line + this.#lines}, `;
    throw new AntequemError(
      'line-too-long',
      `${where}which begins at byte ${this.#offset + this.#lineStart}, is longer than an entry can be ` +
        `(${MAX_ENTRY_BYTES} bytes); shorten it, or record its digest with antequem stamp`,
    );
  }
}

/**
 * Batches of the lines of a stream, in order. Where bytes come slowly, what is whole goes out after `linger`
 * milliseconds. @throws AntequemError `line-too-long`
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
