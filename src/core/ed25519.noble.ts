import { ed25519 } from '@noble/curves/ed25519.js';

/** Ed25519 of RFC 8032, without the leniency of ZIP 215. The form for browsers. @param key 32 bytes */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean {
  return ed25519.verify(signature, message, key, { zip215: false });
}
