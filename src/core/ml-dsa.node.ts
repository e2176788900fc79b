import { Buffer } from 'node:buffer';
import { createPublicKey, verify } from 'node:crypto';
import { concat, fromHex } from './bytes.ts';

/** Of an ML-DSA-44 key in a SubjectPublicKeyInfo (RFC 9881 section 4). */
const SPKI_PREFIX = fromHex('30820532300b06096086480165030403110382052100');

/** Whether an ML-DSA-44 signature (FIPS 204, empty context) of 2,420 bytes holds under a public key of 1,312 bytes. */
export function verifyMlDsa44(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(concat(SPKI_PREFIX, publicKey)), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}
