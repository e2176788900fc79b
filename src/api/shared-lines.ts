// Lines in memory that two threads share, and what one of them computes of them for the other.

import { sha256Into } from '#sha256';
import { HASH_SIZE } from '../core/merkle.ts';
import { writeCommitment } from '../log/commitments.ts';

const LENGTH_BYTES = 4;

/** Lines, their nonces, and places for their digests and commitments, all in one piece of memory. */
export class SharedLines {
  readonly #lengths: Uint32Array;
  readonly nonces: Buffer;
  /** 32 bytes each. */
  readonly digests: Buffer;
  /** 32 bytes each. */
  readonly commitments: Buffer;
  readonly #lines: Buffer;

  constructor(memory: SharedArrayBuffer, count: number, nonceSize: number) {
    let at = 0;
    const take = (bytes: number): Buffer => {
      at += bytes;
      return Buffer.from(memory, at - bytes, bytes);
    };
    this.#lengths = new Uint32Array(memory, at, count);
    take(LENGTH_BYTES * count);
    this.digests = take(HASH_SIZE * count);
    this.commitments = take(HASH_SIZE * count);
    this.nonces = take(nonceSize * count);
    this.#lines = Buffer.from(memory, at);
  }

  /** How much memory so many lines need. */
  static bytesOf(count: number, nonceSize: number, bytes: number): number {
    return count * (LENGTH_BYTES + 2 * HASH_SIZE + nonceSize) + bytes;
  }

  fill(lines: readonly Uint8Array[], nonces: Uint8Array): void {
    let at = 0;
    for (const [i, line] of lines.entries()) {
      this.#lines.set(line, at);
      this.#lengths[i] = line.length;
      at += line.length;
    }
    this.nonces.set(nonces);
  }

  /** Computes digests and commitments. */
  hash(): void {
    const nonceSize = this.nonces.length / this.#lengths.length;
    let at = 0;
    for (const [i, length] of this.#lengths.entries()) {
      const place = HASH_SIZE * i;
      sha256Into(this.#lines.subarray(at, at + length), this.digests, place);
      const digest = this.digests.subarray(place, place + HASH_SIZE);
      writeCommitment(digest, this.nonces.subarray(nonceSize * i, nonceSize * (i + 1)), this.commitments, place);
      at += length;
    }
  }
}
