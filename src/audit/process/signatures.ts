import { createPublicKey, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { ed25519Spki, mlDsa44Spki } from '../../core/note.ts';
import type { CheckSignature } from '../checks/log-keys.ts';

// Off the main thread: a signature takes as long as a hundred entries.
const verifySignature = promisify(verify);

/** Checks signatures by a public key of Ed25519 (32 bytes) or ML-DSA-44 (1,312) with Node's crypto. */
export function openKey(publicKey: Uint8Array): CheckSignature {
  const spki = publicKey.length === 32 ? ed25519Spki(publicKey) : mlDsa44Spki(publicKey);
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  return (message, signature) => verifySignature(null, message, key, signature);
}
