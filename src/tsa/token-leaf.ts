import { sha256 } from '#sha256';
import { hashLeaf } from '../core/merkle.ts';
import { digestCommitment, digestLeaf } from '../core/round.ts';

/** What the leaf of a token has: SHA-256 of its digest, without a nonce. @param digest SHA-256 of the token's DER */
export function tokenCommitment(digest: Uint8Array): Uint8Array {
  return digestCommitment(digest, new Uint8Array());
}

/** The hash of the leaf of a round that a token of a service's own authority is. @param digest as above */
export function tokenLeafHash(digest: Uint8Array): Uint8Array {
  return hashLeaf(digestLeaf(tokenCommitment(digest)));
}

/** How tokens are named: SHA-256 of their DER. */
export function tokenDigest(token: Uint8Array): Uint8Array {
  return sha256(token);
}
