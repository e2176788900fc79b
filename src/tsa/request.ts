// Timestamp requests (RFC 3161 section 2.4.1).

import { boolean, derSequence, integer, NULL, octetString, oid } from './der.ts';

export const SHA256 = '2.16.840.1.101.3.4.2.1';

export interface TimeStampRequest {
  /** SHA-256. */
  readonly digest: Uint8Array;
  /** Random; a token for this request repeats it. */
  readonly nonce: Uint8Array;
  /** OID; null: the authority's own choice. */
  readonly policy: string | null;
}

/** A MessageImprint by SHA-256. */
export function sha256Imprint(digest: Uint8Array): Uint8Array {
  return derSequence(derSequence(oid(SHA256), NULL), octetString(digest));
}

/** DER; the authority is asked for its certificate. */
export function encodeRequest({ digest, nonce, policy }: TimeStampRequest): Uint8Array {
  const wanted = policy === null ? [] : [oid(policy)];
  return derSequence(integer(1), sha256Imprint(digest), ...wanted, integer(nonce), boolean(true));
}
