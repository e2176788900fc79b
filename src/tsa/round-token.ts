// The token of a round, and the files of certificates that it is checked by.

import { fromBase64 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { readCertificates } from './certificate.ts';
import { checkToken, type TokenOutcome } from './token-check.ts';

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
