// The chain from a signer's certificate to a CA that the verifier trusts (RFC 5280 section 6), as of the token's time.
// Neither revocation lists nor OCSP are asked: nothing here reaches outside.

import { equalBytes } from '../core/bytes.ts';
import type { X509Certificate } from './certificate.ts';
import { signatureHolds, Unsupported } from './signature.ts';

/** The purpose `timeStamping` (RFC 3161 section 2.3), and any purpose. */
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const ANY_PURPOSE = '2.5.29.37.0';

/** Certificates from the signer's to the CA's, both included. */
const MOST_LONG = 8;
/** Signatures that one token may have verified for its chain. */
const MOST_SIGNATURES = 32;

/** Bits of keyUsage (RFC 5280 section 4.2.1.3). */
const DIGITAL_SIGNATURE = 0;
const NON_REPUDIATION = 1;
const KEY_CERT_SIGN = 5;

/** Why a certificate is not one of an authority's signer; null: it is. @param time of the token, milliseconds */
export function signerFault({ extensions, notBefore, notAfter }: X509Certificate, time: number): string | null {
  const { extendedKeyUsage, keyUsage, unknownCritical } = extensions;
  if (extendedKeyUsage === null) return 'has no extended key usage, which must be timeStamping';
  if (!extendedKeyUsage.critical) return 'has an extended key usage that is not critical';
  const [purpose, another] = extendedKeyUsage.purposes;
  if (purpose !== TIME_STAMPING || another !== undefined)
    return 'has an extended key usage other than timeStamping alone';
  if (keyUsage !== null) {
    const used = keyUsage.flatMap((set, bit) => (set ? [bit] : []));
    if (used.length === 0 || used.some((bit) => bit !== DIGITAL_SIGNATURE && bit !== NON_REPUDIATION)) {
      return 'has a key usage other than signatures';
    }
  }
  const [unknown] = unknownCritical;
  if (unknown !== undefined) return `has the critical extension ${unknown}, which is not known here`;
  return validityFault({ notBefore, notAfter }, time);
}

function validityFault(
  { notBefore, notAfter }: Pick<X509Certificate, 'notBefore' | 'notAfter'>,
  time: number,
): string | null {
  if (time < notBefore) return 'was not valid yet at the time of the token';
  // Its last second belongs to it.
  return time >= notAfter + 1_000 ? 'had expired at the time of the token' : null;
}

/** Why this certificate does not vouch for others; null: it does. @param below CAs between it and the signer's */
function issuerFault(certificate: X509Certificate, below: number, time: number): string | null {
  const { basicConstraints, keyUsage, extendedKeyUsage, unknownCritical } = certificate.extensions;
  if (basicConstraints?.ca !== true) return 'is not a CA';
  if (basicConstraints.pathLength !== null && below > basicConstraints.pathLength) {
    return `allows only ${basicConstraints.pathLength} CAs below it`;
  }
  if (keyUsage !== null && keyUsage[KEY_CERT_SIGN] !== true) return 'may not sign certificates';
  const purposes = extendedKeyUsage?.purposes ?? [ANY_PURPOSE];
  if (!purposes.includes(TIME_STAMPING) && !purposes.includes(ANY_PURPOSE)) return 'is not for timestamps';
  const [unknown] = unknownCritical;
  if (unknown !== undefined) return `has the critical extension ${unknown}, which is not known here`;
  return validityFault(certificate, time);
}

export type CertificatePath =
  | { readonly trusted: true; readonly ca: X509Certificate }
  /** The reason of the candidate that came closest; null: there was none. */
  | { readonly trusted: false; readonly fault: string | null };

/** A trusted certificate that is no CA can help to complete a chain, and ends none. */
export async function findCertificatePath(
  signer: X509Certificate,
  {
    trusted,
    others,
    time,
  }: {
    readonly trusted: readonly X509Certificate[];
    readonly others: readonly X509Certificate[];
    /** Milliseconds since the Unix epoch. */
    readonly time: number;
  },
): Promise<CertificatePath> {
  const candidates = [...trusted, ...others.filter(({ raw }) => !trusted.some((each) => equalBytes(each.raw, raw)))];
  let fault: string | null = null;
  let signatures = 0;
  const search = async (chain: readonly X509Certificate[]): Promise<X509Certificate | null> => {
    const last = chain.at(-1) ?? signer;
    if (chain.length === MOST_LONG) return null;
    for (const candidate of candidates) {
      if (!equalBytes(candidate.subject, last.issuer) || chain.includes(candidate)) continue;
      const wrong = issuerFault(candidate, chain.length - 1, time);
      if (wrong !== null) {
        fault = `${candidate.subjectText} ${wrong}`;
        continue;
      }
      if (signatures++ >= MOST_SIGNATURES) return null;
      if (!(await issued(candidate, last, (why) => (fault = why)))) continue;
      if (trusted.includes(candidate)) return candidate;
      const found = await search([...chain, candidate]);
      if (found !== null) return found;
    }
    return null;
  };
  const ca = await search([signer]);
  return ca === null ? { trusted: false, fault } : { trusted: true, ca };
}

async function issued(
  issuer: X509Certificate,
  certificate: X509Certificate,
  onFault: (why: string) => void,
): Promise<boolean> {
  const { signatureAlgorithm: algorithm, signature, signed: data } = certificate;
  try {
    if (await signatureHolds({ algorithm, hash: null, publicKey: issuer.publicKey, signature, data })) return true;
    onFault(`${certificate.subjectText} is not signed by the key of ${issuer.subjectText}`);
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    onFault(`the signature of ${certificate.subjectText} cannot be checked: ${error.message}`);
  }
  return false;
}
