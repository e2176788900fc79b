import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { sha256 } from '#sha256';
import { concat, equalBytes, toHex } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { type FoundFile, foundFile, isSameFile } from './rotation.ts';
import type { Fingerprint, FinishedFile } from './state.ts';

/** This many bytes identify a log file: the first lines of log files differ by their times. */
const PRINTED = 1024;
const NONE = new Uint8Array(0);

const READ_BYTES = 1 << 20;

/** The first and the last bytes of a part of a file: at least 1,024 each, or all if it is shorter. */
export interface Edges {
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

/** What identifies a file's content: its first bytes, and the bytes before an offset. */
export interface Trace {
  readonly offset: number;
  readonly head: Fingerprint;
  readonly tail: Fingerprint;
}

/**
 * An open file that is read from an offset. It is recognized by its content, since inodes mislead: a file truncated after
 * being copied keeps its inode, its copy has another, and a deleted file's inode is used again.
 */
export class FollowedFile {
  readonly handle: FileHandle;
  readonly found: FoundFile;
  #offset: number;
  #head: Uint8Array;
  #tail: Uint8Array;

  private constructor(handle: FileHandle, found: FoundFile, offset: number, head: Uint8Array, tail: Uint8Array) {
    this.handle = handle;
    this.found = found;
    this.#offset = offset;
    this.#head = head;
    this.#tail = tail;
  }

  /** Opens a file to be read from `offset`; null if it is shorter, or no longer has its name. */
  static async openFile(file: FoundFile, offset: number): Promise<FollowedFile | null> {
    const handle = await open(file.path, 'r').catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    });
    if (handle === null) return null;
    const found = foundFile(file.path, await handle.stat({ bigint: true }));
    const head = await readAt(handle, 0, PRINTED);
    const tail = await readAt(handle, Math.max(0, offset - PRINTED), Math.min(offset, PRINTED));
    if (isSameFile(found, file) && tail.length === Math.min(offset, PRINTED)) {
      return new FollowedFile(handle, found, offset, head, tail);
    }
    await handle.close();
    return null;
  }

  get isEmpty(): boolean {
    return this.#head.length === 0;
  }

  get offset(): number {
    return this.#offset;
  }

  trace(): Trace {
    return { offset: this.#offset, head: print(this.#head), tail: print(this.#tail) };
  }

  /** Whether the file has the content that the trace describes. An earlier head may be shorter than the current one. */
  bears({ offset, head, tail }: Trace): boolean {
    if (this.#offset !== offset || head.length > this.#head.length) return false;
    return same(print(this.#head.subarray(0, head.length)), head) && same(print(this.#tail), tail);
  }

  /** Whether the bytes read so far are still there. If so, earlier reads were of this content: truncation is not undone. */
  async unchanged(): Promise<boolean> {
    const head = await readAt(this.handle, 0, this.#head.length);
    const tail = await readAt(this.handle, this.#offset - this.#tail.length, this.#tail.length);
    return equalBytes(head, this.#head) && equalBytes(tail, this.#tail);
  }

  /** Moves the offset past bytes that were read here; the first and the last 1,024 are enough. */
  advance(length: number, { first, last }: Edges): void {
    if (this.#head.length < PRINTED && this.#offset + length > this.#head.length) {
      this.#head = concat(this.#head.subarray(0, this.#offset), first).slice(0, PRINTED);
    }
    this.#tail = concat(this.#tail, last.subarray(-PRINTED)).slice(-PRINTED);
    this.#offset += length;
  }

  /** How a file that was read to its end is recognized under another name. */
  finished(): FinishedFile {
    const { dev, ino } = this.found;
    const { head, tail, offset } = this.trace();
    return { dev, ino, size: offset, head, tail };
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    const { bytesRead } = await this.handle.read(into, 0, into.length, at);
    return bytesRead;
  }

  /** The bytes from the offset to `end`, or null if the file is shorter. */
  async slice(end: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const bytes = await readAt(this.handle, this.#offset, end - this.#offset);
    return this.#offset + bytes.length === end ? bytes : null;
  }

  /** SHA-256 in hex of this many bytes from the offset; null if the file is shorter. */
  async digest(length: number): Promise<string | null> {
    const hash = createHash('sha256');
    for (let at = 0; at < length; ) {
      const bytes = await readAt(this.handle, this.#offset + at, Math.min(READ_BYTES, length - at));
      if (bytes.length === 0) return null;
      hash.update(bytes);
      at += bytes.length;
    }
    return hash.digest('hex');
  }

  /** The first and the last bytes from the offset to `end`. */
  async edges(end: number): Promise<Edges> {
    const length = Math.min(PRINTED, end - this.#offset);
    return {
      first: await readAt(this.handle, this.#offset, length),
      last: await readAt(this.handle, end - length, length),
    };
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Whether a file, or a copy of it, was already read to its end. */
export async function isFinished(file: FoundFile, done: readonly FinishedFile[]): Promise<boolean> {
  for (const finished of done) {
    const itself = isSameFile(file, finished);
    if (!itself && file.size !== finished.size) continue;
    const offset = itself ? 0 : finished.size;
    const source = await FollowedFile.openFile(file, offset);
    if (source === null) continue;
    const known = source.bears({ offset, head: finished.head, tail: itself ? print(NONE) : finished.tail });
    await source.close();
    if (known) return true;
  }
  return false;
}

function print(bytes: Uint8Array): Fingerprint {
  return { length: bytes.length, sha256: toHex(sha256(bytes)) };
}

function same(a: Fingerprint, b: Fingerprint): boolean {
  return a.length === b.length && a.sha256 === b.sha256;
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(out, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return out.slice(0, filled);
}
