import { concat, fromHex } from './bytes.ts';

const PREFIX = fromHex('302a300506032b6570032100');

/** The SubjectPublicKeyInfo (DER) of an Ed25519 key of 32 bytes (RFC 8410 section 4). */
export function ed25519Spki(publicKey: Uint8Array): Uint8Array {
  return concat(PREFIX, publicKey);
}
