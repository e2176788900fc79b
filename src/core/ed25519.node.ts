import { createRequire } from 'node:module';

// Loaded with the first signature: most commands check none, and loading takes a tenth of their time.
const load = createRequire(import.meta.url);

/** Ed25519 of RFC 8032, without the leniency of ZIP 215. @param key 32 bytes */
export function verifyEd25519(signature: Uint8Array, message: Uint8Array, key: Uint8Array): boolean {
  const { ed25519 }: typeof import('@noble/curves/ed25519.js') = load('@noble/curves/ed25519.js');
  return ed25519.verify(signature, message, key, { zip215: false });
}
