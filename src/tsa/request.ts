// Timestamp requests (RFC 3161 section 2.4.1).

import { asn1Fault, contextTag, Fields, integerBytes, oidText, readAsn1, smallInteger, TAG } from './asn1.ts';
import { boolean, derSequence, integer, NULL, octetString, oid } from './der.ts';
import { readImprint } from './tst-info.ts';

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

/** A request as it came. */
export interface ReceivedRequest {
  /** OID of the hash, and the digest. */
  readonly algorithm: string;
  readonly digest: Uint8Array;
  /** DER of the MessageImprint: a token repeats it. */
  readonly imprint: Uint8Array;
  readonly policy: string | null;
  /** Content of the INTEGER. */
  readonly nonce: Uint8Array | null;
  readonly wantsCertificate: boolean;
  readonly hasExtensions: boolean;
}

/** @throws FormatError `token-invalid` */
export function parseRequest(der: Uint8Array): ReceivedRequest {
  const fields = new Fields(readAsn1(der), 'a request');
  if (smallInteger(fields.take(TAG.integer), 'the version') !== 1) throw asn1Fault('a request is not of version 1');
  const imprint = fields.take(TAG.sequence);
  const policy = fields.optional(TAG.oid);
  const nonce = fields.optional(TAG.integer);
  const certReq = fields.optional(TAG.boolean);
  const extensions = fields.optional(contextTag(0));
  fields.end();
  const { algorithm, digest } = readImprint(imprint);
  return {
    algorithm,
    digest,
    imprint: imprint.raw,
    policy: policy === null ? null : oidText(policy, 'the policy'),
    nonce: nonce === null ? null : integerBytes(nonce, 'the nonce'),
    wantsCertificate: (certReq?.content[0] ?? 0) !== 0,
    hasExtensions: extensions !== null,
  };
}
