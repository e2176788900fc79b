import { z } from 'zod';
import { HASH_SIZE } from '../core/merkle.ts';
import { acceptLines, cutLines, payloadOfLine } from '../log/accept.ts';
import type { Accepted, Draft, Effects, Log } from '../log/log.ts';
import { nonceSizeOf } from '../log/prepared.ts';
import { SharedLines } from './shared-lines.ts';
import { WorkThread } from './thread.ts';

/** What the thread is asked: to hash the lines in memory that both share. */
export interface SharedQuestion {
  readonly memory: SharedArrayBuffer;
  readonly count: number;
  readonly nonceSize: number;
}

/** Makes entries of the lines of a body. */
export interface LineHashing {
  /** @param pieces of the body, in order @throws FormatError `batch-empty`, `batch-too-large` */
  accept(log: Log, pieces: readonly Uint8Array[]): Promise<Accepted>;
  close(): Promise<void>;
}

export interface LineHashingOptions {
  /** What the thread runs. */
  readonly file: URL;
  readonly random: Effects['random'];
  /** Milliseconds by the monotonic clock. */
  readonly clock: () => number;
}

/** A body with fewer bytes is hashed at once: to hand it to another thread costs more than it saves. */
const MIN_BYTES = 64 << 10;
/** Lines a second from which on the thread is worth its 30 MB. */
const MANY_LINES = 40_000;
const SECOND_MS = 1_000;
/** Bodies that the thread has at a time: one that it hashes, and the next one. */
const AT_ONCE = 2;
/** Memory that is shared at first, and the most that is kept for the next body. */
const SHARED_BYTES = 1 << 20;
const MOST_KEPT_BYTES = 2 << 20;
const HEAP_MB = 32;

/** A line as an entry. A view of its digest is made when it is asked for: thousands of them would be kept for a moment each. */
class HashedLine implements Draft {
  readonly payload: Uint8Array | null;
  readonly #digests: Buffer;
  readonly #at: number;

  constructor(line: Uint8Array, digests: Buffer, at: number) {
    this.payload = payloadOfLine(line);
    this.#digests = digests;
    this.#at = at;
  }

  get digest(): Uint8Array {
    return this.#digests.subarray(HASH_SIZE * this.#at, HASH_SIZE * (this.#at + 1));
  }
}

/** Hashes in a thread of its own where many lines come, as long as that has not enough to do already. */
export class LineHashingThread implements LineHashing {
  readonly #thread: WorkThread<null>;
  readonly #options: LineHashingOptions;
  readonly #kept: SharedArrayBuffer[] = [];
  #underWay = 0;
  /** Lines since then, and in the second before. */
  #lines = { since: 0, count: 0, before: 0 };

  constructor(options: LineHashingOptions) {
    this.#options = options;
    this.#thread = new WorkThread({
      file: options.file,
      data: null,
      parse: (answer) => z.null().parse(answer),
      what: 'a batch of lines',
      atOnce: AT_ONCE,
      mostWaiting: AT_ONCE,
      heapMb: HEAP_MB,
    });
  }

  async accept(log: Log, pieces: readonly Uint8Array[]): Promise<Accepted> {
    const lines = cutLines(...pieces);
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    const isMany = this.#count(lines.length);
    if (!isMany || bytes < MIN_BYTES || this.#underWay === AT_ONCE) return { drafts: acceptLines(lines) };
    const nonceSize = nonceSizeOf(log);
    const nonces = this.#options.random(nonceSize * lines.length);
    const memory = this.#memory(SharedLines.bytesOf(lines.length, nonceSize, bytes));
    const shared = new SharedLines(memory, lines.length, nonceSize);
    shared.fill(lines, nonces);
    this.#underWay++;
    try {
      await this.#thread.ask({ memory, count: lines.length, nonceSize } satisfies SharedQuestion);
    } catch {
      // A thread that hangs may still write to that memory.
      return { drafts: acceptLines(lines) };
    } finally {
      this.#underWay--;
    }
    const digests = Buffer.from(shared.digests);
    const commitments = Buffer.from(shared.commitments);
    if (memory.byteLength <= MOST_KEPT_BYTES) this.#kept.push(memory);
    const drafts = lines.map((line, i) => new HashedLine(line, digests, i));
    return { drafts, commitments: { digests, nonces, commitments } };
  }

  close(): Promise<void> {
    return this.#thread.close();
  }

  /** Whether many come lately. */
  #count(lines: number): boolean {
    const now = this.#options.clock();
    const { since, count } = this.#lines;
    const passed = now - since;
    if (passed >= SECOND_MS) this.#lines = { since: now, count: 0, before: passed < 2 * SECOND_MS ? count : 0 };
    this.#lines.count += lines;
    return Math.max(this.#lines.count, this.#lines.before) >= MANY_LINES;
  }

  #memory(needed: number): SharedArrayBuffer {
    const kept = this.#kept.pop();
    return kept !== undefined && kept.byteLength >= needed
      ? kept
      : new SharedArrayBuffer(Math.max(needed, SHARED_BYTES));
  }
}
