import { sha256Into } from '#sha256';
import { NONCE_SIZE } from '../core/entry.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import type { Effects, Log, Submission } from './log.ts';

/** A submission with all that does not depend on its place, computed while others are being committed. */
export interface Prepared {
  readonly submission: Submission;
  /** Of each entry, one after the other. */
  readonly nonces: Uint8Array;
  /** The same: 32 bytes each. */
  readonly commitments: Uint8Array;
}

/** Draws nonces and computes commitments. */
export function prepare(log: Log, submission: Submission, { random }: Effects): Prepared {
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
  return { submission, nonces, commitments };
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
  };
}

export const nonceSizeOf = (log: Log): number => (log.blinded ? NONCE_SIZE : 0);
