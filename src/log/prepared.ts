import { sha256Into } from '#sha256';
import { NONCE_SIZE } from '../core/entry.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { MAX_BLOCK_BYTES, packContents, type StoredContent } from './block.ts';
import type { Draft, Effects, Log, Submission } from './log.ts';

/** A submission with all that does not depend on its place, computed while others are being committed. */
export interface Prepared {
  readonly submission: Submission;
  /** Of each entry, one after the other. */
  readonly nonces: Uint8Array;
  /** The same: 32 bytes each. */
  readonly commitments: Uint8Array;
  /** The packed contents of what will be a whole tile, as far as that can be foreseen, by the position of its first entry. */
  readonly packed: ReadonlyMap<number, Uint8Array>;
}

const NOTHING_PACKED: ReadonlyMap<number, Uint8Array> = new Map();

/**
 * Draws nonces, computes commitments, and packs what will be whole tiles.
 * @param start the index that the first entry will probably get; null: it is not known
 */
export function prepare(log: Log, submission: Submission, { random }: Effects, start: number | null = null): Prepared {
  const nonceSize = nonceSizeOf(log);
  const { drafts } = submission;
  const nonces = random(nonceSize * drafts.length);
  const commitments = Buffer.allocUnsafe(HASH_SIZE * drafts.length);
  const secret = Buffer.alloc(HASH_SIZE + nonceSize);
  const source = Buffer.from(nonces.buffer, nonces.byteOffset, nonces.byteLength);
  for (const [i, { digest }] of drafts.entries()) {
    secret.set(digest);
    source.copy(secret, HASH_SIZE, i * nonceSize, (i + 1) * nonceSize);
    sha256Into(secret, commitments, HASH_SIZE * i);
  }
  const packed = start === null ? NOTHING_PACKED : packTiles(drafts, nonces, nonceSize, start);
  return { submission, nonces, commitments, packed };
}

function packTiles(
  drafts: readonly Draft[],
  nonces: Uint8Array,
  nonceSize: number,
  start: number,
): ReadonlyMap<number, Uint8Array> {
  const first = (TILE_WIDTH - (start % TILE_WIDTH)) % TILE_WIDTH;
  if (first + TILE_WIDTH > drafts.length) return NOTHING_PACKED;
  const packed = new Map<number, Uint8Array>();
  for (let at = first; at + TILE_WIDTH <= drafts.length; at += TILE_WIDTH) {
    const some = drafts.slice(at, at + TILE_WIDTH);
    // A tile with more is several blocks.
    if (some.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0) > MAX_BLOCK_BYTES) continue;
    packed.set(at, packContents(contentsOf(some, nonces.subarray(at * nonceSize), nonceSize), nonceSize));
  }
  return packed;
}

/** What is stored of drafts. @param nonces of each, one after the other */
export function contentsOf(drafts: readonly Draft[], nonces: Uint8Array, nonceSize: number): StoredContent[] {
  return drafts.map(({ payload, digest }, i): StoredContent => {
    const nonce = new Uint8Array(nonces.buffer, nonces.byteOffset + i * nonceSize, nonceSize);
    return payload === null ? { kind: 'digest', digest, nonce } : { kind: 'payload', payload, nonce };
  });
}

/** The drafts of a submission at these positions; null: all. */
export function partOf(prepared: Prepared, positions: readonly number[] | null): Prepared {
  if (positions === null) return prepared;
  const { submission, nonces, commitments } = prepared;
  const nonceSize = nonces.length / submission.drafts.length;
  const pick = (bytes: Uint8Array, size: number): Buffer =>
    Buffer.concat(positions.map((at) => bytes.subarray(at * size, (at + 1) * size)));
  return {
    submission: { ...submission, drafts: positions.flatMap((at) => submission.drafts[at] ?? []) },
    nonces: pick(nonces, nonceSize),
    commitments: pick(commitments, HASH_SIZE),
    packed: NOTHING_PACKED,
  };
}

export const nonceSizeOf = (log: Log): number => (log.blinded ? NONCE_SIZE : 0);
