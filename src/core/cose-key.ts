// The keys that COSE receipts are signed with: Ed25519, one for each key of a log.

import { sha256 } from '#sha256';
import { concat, equalBytes, utf8 } from './bytes.ts';
import { type CborMap, encodeCbor } from './cbor.ts';
import { FormatError, parsed } from './errors.ts';
import { parseLogVerifier } from './log-verifier.ts';
import { formatVerifierKey, parseTypedKey, type Verifier } from './note.ts';

/** EdDSA (RFC 9053 section 2.2). Verifiers refuse the newer -19 for the same algorithm. */
export const COSE_EDDSA = -8;
export const ED25519_KEY_SIZE = 32;

const KEY_TYPE = 1;
const KEY_ID = 2;
const ALGORITHM = 3;
const OPERATIONS = 4;
const VERIFY = 2;
const OKP = 1;
const CURVE = -1;
const ED25519_CURVE = 6;
const POINT = -2;

/** Of the types of C2SP signed-note keys the one for what is named by a text. */
const NAMED_TYPE = 0xff;
const NAME = utf8('cose');

/** The key's thumbprint, 32 bytes: SHA-256 of its required parameters (RFC 9679 section 3). */
export function coseThumbprint(publicKey: Uint8Array): Uint8Array {
  return sha256(
    encodeCbor(
      new Map<number, number | Uint8Array>([
        [KEY_TYPE, OKP],
        [CURVE, ED25519_CURVE],
        [POINT, publicKey],
      ]),
    ),
  );
}

/** A COSE Key Set (RFC 9052 section 7) of Ed25519 keys, each named by its thumbprint. @param publicKeys 32 bytes each */
export function encodeCoseKeySet(publicKeys: readonly Uint8Array[]): Uint8Array {
  return encodeCbor(
    publicKeys.map(
      (publicKey): CborMap =>
        new Map<number, number | Uint8Array | number[]>([
          [KEY_TYPE, OKP],
          [KEY_ID, coseThumbprint(publicKey)],
          [ALGORITHM, COSE_EDDSA],
          [OPERATIONS, [VERIFY]],
          [CURVE, ED25519_CURVE],
          [POINT, publicKey],
        ]),
    ),
  );
}

/** The key as a text: a verifier key of signed notes whose type is 0xff and whose key is `cose` ‖ 32 bytes. */
export function formatCoseKey(log: string, publicKey: Uint8Array): string {
  return formatVerifierKey(log, concat(NAME, publicKey), NAMED_TYPE);
}

/**
 * The public key in such a text; `checkpoints` where it is the key for the log's checkpoints instead.
 * @throws FormatError `verifier-key`, `base64-invalid`
 */
export function parseCoseKey(text: string): Pick<Verifier, 'name' | 'publicKey'> | 'checkpoints' {
  const { type, name, publicKey } = parseTypedKey(text);
  if (type !== NAMED_TYPE && parsed(() => parseLogVerifier(text)) !== null) return 'checkpoints';
  const named = type === NAMED_TYPE && equalBytes(publicKey.subarray(0, NAME.length), NAME);
  if (!named || publicKey.length !== NAME.length + ED25519_KEY_SIZE) {
    throw new FormatError('verifier-key', 'the verifier key is not one for COSE receipts (0xff, "cose" and 32 bytes)');
  }
  return { name, publicKey: publicKey.slice(NAME.length) };
}
