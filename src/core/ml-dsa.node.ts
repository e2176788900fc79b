import { Buffer } from 'node:buffer';
import { createPublicKey, verify } from 'node:crypto';
import { mlDsa44Spki } from './note.ts';

/** Whether an ML-DSA-44 signature (FIPS 204, empty context) of 2,420 bytes holds under a public key of 1,312 bytes. */
export function verifyMlDsa44(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(mlDsa44Spki(publicKey)), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}
