// Checks one token: first its own bytes, then the certificate of its signer, then the chain to a CA that is trusted.

import { equalBytes, toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import type { X509Certificate } from './certificate.ts';
import { findCertificatePath, signerFault } from './chain.ts';
import { digestBy, signatureHolds, type TokenHash, tokenHash, Unsupported } from './signature.ts';
import { isSigner, parseToken, type Token } from './token.ts';

export interface TokenTrust {
  /** CAs that are trusted, and certificates that tokens may lack. */
  readonly certificates: readonly X509Certificate[];
}

/**
 * What a token proves. `broken`: it contradicts itself. `foreign`: it is about something else. `unsigned`: nobody's
 * certificate is at hand for its signature. `unfit`: its signer is no timestamp authority, or was not at that time.
 * `untrusted`: no chain leads to a CA that is trusted. `unsupported`: by algorithms that are not known here.
 */
export type TokenOutcome =
  | { readonly kind: 'trusted'; readonly token: Token; readonly signer: X509Certificate; readonly ca: X509Certificate }
  | { readonly kind: 'untrusted'; readonly token: Token; readonly signer: X509Certificate; readonly says: string }
  | { readonly kind: 'broken' | 'foreign' | 'unsigned' | 'unfit' | 'unsupported'; readonly says: string };

/** What the token should be about. */
export interface Imprint {
  readonly hash: Exclude<TokenHash, 'SHA-1'>;
  readonly digest: Uint8Array;
}

/** Never throws for what the token holds. `says` goes on after "The token". */
export async function checkToken(der: Uint8Array, imprint: Imprint, trust: TokenTrust): Promise<TokenOutcome> {
  try {
    return await outcomeOf(parseToken(der), imprint, trust);
  } catch (error) {
    if (error instanceof Unsupported) return { kind: 'unsupported', says: `cannot be checked: ${error.message}` };
    if (error instanceof FormatError) return { kind: 'broken', says: `cannot be read: ${error.message}` };
    throw error;
  }
}

async function outcomeOf(token: Token, imprint: Imprint, trust: TokenTrust): Promise<TokenOutcome> {
  const { algorithm, digest: named } = token.info.imprint;
  if (tokenHash(algorithm) !== imprint.hash || !equalBytes(named, imprint.digest)) {
    return { kind: 'foreign', says: `is about ${toHex(named).slice(0, 128)}` };
  }
  const hash = tokenHash(token.digestAlgorithm);
  if (!equalBytes(await digestBy(hash, token.content), token.messageDigest)) {
    return { kind: 'broken', says: 'has content other than what was signed' };
  }
  const candidates = [...token.certificates, ...trust.certificates].filter((each) => isSigner(token, each));
  if (candidates.length === 0) {
    const says = "does not bring the certificate of its signer: give the authority's certificate besides its CA";
    return { kind: 'unsigned', says };
  }
  const signer = await find(candidates, (each) => isNamed(token, each));
  if (signer === null) {
    return { kind: 'broken', says: 'was signed for another certificate than the one that its signer has (ESSCertID)' };
  }
  const { signatureAlgorithm, signature, attributes } = token;
  const check = { algorithm: signatureAlgorithm, hash, publicKey: signer.publicKey, signature, data: attributes };
  if (!(await signatureHolds(check))) return { kind: 'broken', says: 'has a signature that does not hold' };
  const time = token.info.time.ms;
  const unfit = signerFault(signer, time);
  if (unfit !== null)
    return { kind: 'unfit', says: `proves nothing: the certificate of ${signer.subjectText} ${unfit}` };
  const chain = await findCertificatePath(signer, { trusted: trust.certificates, others: token.certificates, time });
  if (chain.trusted) return { kind: 'trusted', token, signer, ca: chain.ca };
  const says =
    chain.fault === null ? 'is by an authority that no CA you trust vouches for' : `is not trusted: ${chain.fault}`;
  return { kind: 'untrusted', token, signer, says };
}

async function find<T>(among: readonly T[], holds: (each: T) => Promise<boolean>): Promise<T | null> {
  for (const each of among) if (await holds(each)) return each;
  return null;
}

/** Whether every ESSCertID that was signed names this certificate. */
async function isNamed({ signedFor }: Token, { raw, serial }: X509Certificate): Promise<boolean> {
  for (const { algorithm, hash, serial: named } of signedFor) {
    const own = await digestBy(algorithm === null ? 'SHA-1' : tokenHash(algorithm), raw);
    if (!equalBytes(own, hash) || (named !== null && !equalBytes(named, serial))) return false;
  }
  return true;
}
