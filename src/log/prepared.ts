import { sha256Into } from '#sha256';
import { NONCE_SIZE } from '../core/entry.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { bytesOfPayloads, MAX_BLOCK_BYTES, type StoredContent } from './blocks/block.ts';
import { packAside } from './blocks/block-packer.ts';
import type { Effects, Log, Submission } from './log.ts';

/** A submission with all that does not depend on its place, computed while others are being committed. */
export interface Prepared {
  readonly submission: Submission;
  /** What is stored of each draft. */
  readonly contents: readonly StoredContent[];
  /** Of each entry, one after the other: 32 bytes each. */
  readonly commitments: Uint8Array;
  /** The packed contents of what will be a whole tile, as far as that can be foreseen, by the position of its first entry. */
  readonly packed: ReadonlyMap<number, Promise<Uint8Array>>;
}

/** What commitments are computed of: filled anew for each entry. */
const BARE = Buffer.alloc(HASH_SIZE);
const BLINDED = Buffer.alloc(HASH_SIZE + NONCE_SIZE);
const NOTHING_PACKED: ReadonlyMap<number, Promise<Uint8Array>> = new Map();

/**
 * Draws nonces, computes commitments, and begins to pack what will be whole tiles.
 * @param start the index that the first entry will probably get; null: it is not known
 */
export function prepare(log: Log, submission: Submission, { random }: Effects, start: number | null = null): Prepared {
  const nonceSize = nonceSizeOf(log);
  const { drafts } = submission;
  const nonces = random(nonceSize * drafts.length);
  const contents: StoredContent[] = [];
  const commitments = Buffer.allocUnsafe(HASH_SIZE * drafts.length);
  const secret = nonceSize === 0 ? BARE : BLINDED;
  for (const { digest, payload } of drafts) {
    const at = contents.length;
    const nonce = nonces.subarray(at * nonceSize, (at + 1) * nonceSize);
    secret.set(digest);
    secret.set(nonce, HASH_SIZE);
    sha256Into(secret, commitments, HASH_SIZE * at);
    contents.push(payload === null ? { kind: 'digest', digest, nonce } : { kind: 'payload', payload, nonce });
  }
  const packed = start === null ? NOTHING_PACKED : packTiles(contents, nonceSize, start);
  return { submission, contents, commitments, packed };
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
  const { submission, contents, commitments } = prepared;
  const hashes = positions.map((at) => commitments.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE));
  return {
    submission: { ...submission, drafts: positions.flatMap((at) => submission.drafts[at] ?? []) },
    contents: positions.flatMap((at) => contents[at] ?? []),
    commitments: Buffer.concat(hashes),
    packed: NOTHING_PACKED,
  };
}

export const nonceSizeOf = (log: Log): number => (log.blinded ? NONCE_SIZE : 0);
