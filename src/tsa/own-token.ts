// Tokens as verifiers meet them: that of a round, and one by itself, of any authority and over any content. Loaded only where
// there is one.

import { sha384, sha512 } from '@noble/hashes/sha2.js';
import { sha256 } from '#sha256';
import { fromBase64, toHex } from '../core/bytes.ts';
import { FormatError, parsed } from '../core/errors.ts';
import { readCertificates } from './certificate.ts';
import { tokenHash, Unsupported } from './signature.ts';
import { parseResponse, parseToken, type Token } from './token.ts';
import { checkToken, type Imprint, type TokenOutcome } from './token-check.ts';
import { tokenDigest } from './token-leaf.ts';

const HASHES: Readonly<Record<Imprint['hash'], (bytes: Uint8Array) => Uint8Array>> = {
  'SHA-256': sha256,
  'SHA-384': sha384,
  'SHA-512': sha512,
};

export interface TokenFile {
  /** DER of the token. */
  readonly der: Uint8Array;
  readonly token: Token;
  /** What it is about; null by a hash that is not known here. */
  readonly imprint: Imprint | null;
}

/** @throws FormatError `token-invalid`; `token-refused` where it is a response without a token */
export function readTokenFile(bytes: Uint8Array): TokenFile {
  const response = parsed(() => parseResponse(bytes));
  if (response?.granted === false) throw new FormatError('token-refused', `no token was given: ${response.says}`);
  const der = response === null ? bytes : response.token;
  const token = parseToken(der);
  const { algorithm, digest } = token.info.imprint;
  return { der, token, imprint: imprintOf(algorithm, digest) };
}

function imprintOf(algorithm: string, digest: Uint8Array): Imprint | null {
  try {
    const hash = tokenHash(algorithm);
    return hash === 'SHA-1' ? null : { hash, digest };
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    return null;
  }
}

/** Its hash as programs call it, and the SHA-256 of its DER in hex. For an unreadable file any will do: the verifier reports the fault. */
export function tokenFacts(bytes: Uint8Array): { hash: 'sha256' | 'sha384' | 'sha512'; digest: string } {
  const file = parsed(() => readTokenFile(bytes));
  const hash = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' } as const;
  return { hash: hash[file?.imprint?.hash ?? 'SHA-256'], digest: toHex(tokenDigest(file?.der ?? bytes)) };
}

export function imprintDigest({ hash }: Imprint, content: Uint8Array): Uint8Array {
  return HASHES[hash](content);
}

/** @param files PEM or DER @throws FormatError `certificate-invalid` */
export function checkTokenFile(
  { der }: TokenFile,
  imprint: Imprint,
  files: readonly Uint8Array[],
): Promise<TokenOutcome> {
  return checkToken(der, imprint, { certificates: files.flatMap(readCertificates) });
}

/**
 * @param token DER in base64
 * @param root 32 bytes
 * @param files PEM or DER
 * @throws FormatError `certificate-invalid`
 */
export async function checkRoundToken(
  token: string,
  root: Uint8Array,
  files: readonly Uint8Array[],
): Promise<TokenOutcome> {
  const certificates = files.flatMap(readCertificates);
  let der: Uint8Array;
  try {
    der = fromBase64(token);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { kind: 'broken', says: `cannot be read: ${error.message}` };
  }
  return checkToken(der, { hash: 'SHA-256', digest: root }, { certificates });
}
