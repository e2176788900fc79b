import { NONCE_SIZE } from '../core/entry.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { bytesOfPayloads, MAX_BLOCK_BYTES, type StoredContent } from './blocks/block.ts';
import { packAside } from './blocks/block-packer.ts';
import { PREFIX_BYTES } from './blocks/digest-record.ts';
import { type Commitments, writeCommitment } from './commitments.ts';
import type { Draft, Effects, Log, Submission } from './log.ts';

/** A submission with all that does not depend on its place, computed while others are being committed. */
export interface Prepared {
  readonly submission: Submission;
  /** What is stored of each draft. */
  readonly contents: readonly StoredContent[];
  /** Of each entry, one after the other: 32 bytes each. */
  readonly commitments: Uint8Array;
  /** Of the digest of each entry, one after the other: what the index of digests has. */
  readonly prefixes: Uint8Array;
  /** The packed contents of what will be a whole tile, as far as that can be foreseen, by the position of its first entry. */
  readonly packed: ReadonlyMap<number, Promise<Uint8Array>>;
}

const NOTHING_PACKED: ReadonlyMap<number, Promise<Uint8Array>> = new Map();

/**
 * Draws nonces, computes commitments, and begins to pack what will be whole tiles.
 * @param start the index that the first entry will probably get; null: it is not known
 */
export function prepare(log: Log, submission: Submission, { random }: Effects, start: number | null = null): Prepared {
  const nonceSize = nonceSizeOf(log);
  const { drafts } = submission;
  const { digests, nonces, commitments } = submission.commitments ?? commit(drafts, nonceSize, random);
  const contents = drafts.map(
    ({ digest, payload }, at): StoredContent =>
      payload === null
        ? { kind: 'digest', digest, nonce: nonceAt(nonces, nonceSize, at) }
        : new KeptPayload(payload, nonces, nonceSize, at),
  );
  const packed = start === null ? NOTHING_PACKED : packTiles(contents, nonceSize, start);
  return { submission, contents, commitments, prefixes: beginningsOf(digests), packed };
}

/** A payload and its nonce, a view of which is made when it is asked for: thousands of them would be kept for a moment each. */
class KeptPayload {
  readonly kind = 'payload';
  readonly payload: Uint8Array;
  readonly #nonces: Uint8Array;
  readonly #size: number;
  readonly #at: number;

  constructor(payload: Uint8Array, nonces: Uint8Array, size: number, at: number) {
    this.payload = payload;
    this.#nonces = nonces;
    this.#size = size;
    this.#at = at;
  }

  get nonce(): Uint8Array {
    return nonceAt(this.#nonces, this.#size, this.#at);
  }
}

function nonceAt(nonces: Uint8Array, size: number, at: number): Uint8Array {
  return nonces.subarray(at * size, (at + 1) * size);
}

function commit(drafts: readonly Draft[], nonceSize: number, random: Effects['random']): Commitments {
  const nonces = random(nonceSize * drafts.length);
  const digests = Buffer.allocUnsafe(HASH_SIZE * drafts.length);
  const commitments = Buffer.allocUnsafe(HASH_SIZE * drafts.length);
  for (const [at, { digest }] of drafts.entries()) {
    digests.set(digest, HASH_SIZE * at);
    writeCommitment(digest, nonceAt(nonces, nonceSize, at), commitments, HASH_SIZE * at);
  }
  return { digests, nonces, commitments };
}

function beginningsOf(digests: Uint8Array): Buffer {
  const prefixes = Buffer.allocUnsafe((PREFIX_BYTES * digests.length) / HASH_SIZE);
  for (let from = 0, to = 0; from < digests.length; from += HASH_SIZE) {
    for (let at = 0; at < PREFIX_BYTES; at++) prefixes[to++] = digests[from + at] ?? 0;
  }
  return prefixes;
}

function packTiles(
  contents: readonly StoredContent[],
  nonceSize: number,
  start: number,
): ReadonlyMap<number, Promise<Uint8Array>> {
  const first = (TILE_WIDTH - (start % TILE_WIDTH)) % TILE_WIDTH;
  if (first + TILE_WIDTH > contents.length) return NOTHING_PACKED;
  const packed = new Map<number, Promise<Uint8Array>>();
  for (let at = first; at + TILE_WIDTH <= contents.length; at += TILE_WIDTH) {
    const some = contents.slice(at, at + TILE_WIDTH);
    // A tile with more is several blocks.
    if (bytesOfPayloads(some) > MAX_BLOCK_BYTES) continue;
    const packing = packAside(some, nonceSize);
    // The commit meets a failure.
    packing.catch(() => {});
    packed.set(at, packing);
  }
  return packed;
}

/** The drafts of a submission at these positions; null: all. */
export function partOf(prepared: Prepared, positions: readonly number[] | null): Prepared {
  if (positions === null) return prepared;
  const { submission, contents, commitments, prefixes } = prepared;
  const cut = (bytes: Uint8Array, size: number): Buffer =>
    Buffer.concat(positions.map((at) => bytes.subarray(at * size, (at + 1) * size)));
  return {
    submission: { ...submission, drafts: positions.flatMap((at) => submission.drafts[at] ?? []) },
    contents: positions.flatMap((at) => contents[at] ?? []),
    commitments: cut(commitments, HASH_SIZE),
    prefixes: cut(prefixes, PREFIX_BYTES),
    packed: NOTHING_PACKED,
  };
}

export const nonceSizeOf = (log: Log): number => (log.blinded ? NONCE_SIZE : 0);
