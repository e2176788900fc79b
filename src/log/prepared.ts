import { sha256Into } from '#sha256';
import { NONCE_SIZE } from '../core/entry.ts';
import type { Effects, Log, Submission } from './log.ts';

/** A submission with all that does not depend on its place, computed while others are being committed. */
export interface Prepared {
  readonly submission: Submission;
  /** For each entry digest 32 ‖ nonce 0 or 16 ‖ commitment 32 ‖ room for the leaf hash 32. */
  readonly records: Buffer;
}

/** Draws nonces and computes commitments. */
export function prepare(log: Log, submission: Submission, { random }: Effects): Prepared {
  const nonceSize = nonceSizeOf(log);
  const stride = strideOf(nonceSize);
  const { drafts } = submission;
  const nonces = random(nonceSize * drafts.length);
  const records = Buffer.alloc(stride * drafts.length);
  for (const [i, { digest }] of drafts.entries()) {
    const at = i * stride;
    const end = at + 32 + nonceSize;
    records.set(digest, at);
    records.set(nonces.subarray(i * nonceSize, (i + 1) * nonceSize), at + 32);
    sha256Into(records.subarray(at, end), records, end);
  }
  return { submission, records };
}

/** The drafts of a submission at these positions; null: all. */
export function partOf(prepared: Prepared, positions: readonly number[] | null): Prepared {
  if (positions === null) return prepared;
  const { submission, records } = prepared;
  const stride = records.length / submission.drafts.length;
  const drafts = positions.flatMap((at) => submission.drafts[at] ?? []);
  return {
    submission: { ...submission, drafts },
    records: Buffer.concat(positions.map((at) => records.subarray(at * stride, (at + 1) * stride))),
  };
}

export const nonceSizeOf = (log: Log): number => (log.blinded ? NONCE_SIZE : 0);
/** Bytes of a record. */
export const strideOf = (nonceSize: number): number => 96 + nonceSize;
