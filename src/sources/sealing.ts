// Secrets of sources at rest: AES-256-GCM (NIST SP 800-38D) under keys that are derived from the seeds of the service.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** `version ‖ nonce 12 ‖ ciphertext ‖ tag 16`. What a secret belongs to is authenticated with it. */
export class Sealing {
  readonly #keys: readonly Uint8Array[];
  readonly #random: (length: number) => Uint8Array;

  /** @param keys 32 bytes each, the newest first; older ones open what they sealed */
  constructor(keys: readonly Uint8Array[], random: (length: number) => Uint8Array) {
    this.#keys = keys;
    this.#random = random;
  }

  seal(secret: string, belongsTo: string): Uint8Array {
    const [key] = this.#keys;
    if (key === undefined) throw new AntequemError('internal', 'there is no key to seal secrets with');
    const nonce = this.#random(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, key, nonce).setAAD(utf8(belongsTo));
    return concat(Uint8Array.of(VERSION), nonce, cipher.update(utf8(secret)), cipher.final(), cipher.getAuthTag());
  }

  /** The secret, and whether the newest key sealed it; null: no key opens it. */
  open(sealed: Uint8Array, belongsTo: string): { readonly secret: string; readonly newest: boolean } | null {
    if (sealed[0] !== VERSION || sealed.length < 1 + NONCE_BYTES + TAG_BYTES) return null;
    const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
    const content = sealed.subarray(1 + NONCE_BYTES, -TAG_BYTES);
    for (const [i, key] of this.#keys.entries()) {
      const decipher = createDecipheriv(CIPHER, key, nonce)
        .setAAD(utf8(belongsTo))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      try {
        return {
          secret: Buffer.concat([decipher.update(content), decipher.final()]).toString('utf8'),
          newest: i === 0,
        };
      } catch {
        // Sealed by another key.
      }
    }
    return null;
  }
}
