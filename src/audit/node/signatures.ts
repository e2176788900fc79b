import { createPublicKey, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { ed25519Spki } from '../../core/note.ts';
import type { CheckSignature } from '../checks/log-keys.ts';

// Off the main thread: a signature takes as long as a hundred entries.
const verifySignature = promisify(verify);

/** Checks Ed25519 signatures by a public key, 32 bytes, with Node's crypto. */
export function openKey(publicKey: Uint8Array): CheckSignature {
  const key = createPublicKey({ key: Buffer.from(ed25519Spki(publicKey)), format: 'der', type: 'spki' });
  return (message, signature) => verifySignature(null, message, key, signature);
}
