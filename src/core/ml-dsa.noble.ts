import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';

/**
 * Whether an ML-DSA-44 signature (FIPS 204, empty context) of 2,420 bytes holds under a public key of 1,312 bytes. The form
 * for browsers.
 */
export function verifyMlDsa44(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  return ml_dsa44.verify(signature, message, publicKey);
}
