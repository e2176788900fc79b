import { sha256Into } from '#sha256';
import { NONCE_SIZE } from '../core/entry.ts';
import { HASH_SIZE } from '../core/merkle.ts';

/** Digests of entries, and what hides them. */
export interface Commitments {
  /** Of each entry, one after the other: 32 bytes each. */
  readonly digests: Uint8Array;
  /** Of each entry, one after the other: 16 bytes each, or none. */
  readonly nonces: Uint8Array;
  /** 32 bytes each: `commitTo` of digest and nonce. */
  readonly commitments: Uint8Array;
}

/** What commitments are computed of: filled anew for each entry. */
const BARE = Buffer.alloc(HASH_SIZE);
const BLINDED = Buffer.alloc(HASH_SIZE + NONCE_SIZE);

/** Writes the commitment of an entry. @param nonce 16 bytes, or none */
export function writeCommitment(digest: Uint8Array, nonce: Uint8Array, out: Uint8Array, offset: number): void {
  const secret = nonce.length === 0 ? BARE : BLINDED;
  secret.set(digest);
  secret.set(nonce, HASH_SIZE);
  sha256Into(secret, out, offset);
}
