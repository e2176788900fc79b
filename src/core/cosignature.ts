// C2SP tlog-cosignature: what witnesses say of checkpoints. Ed25519 alone: browsers have no ML-DSA.

import { verifyEd25519 } from '#ed25519';
import { concat, equalBytes, readU64, u64, utf8 } from './bytes.ts';
import { FormatError, parsed } from './errors.ts';
import { formatVerifierKey, type Note, type NoteSignature, noteKeyId, parseTypedKey, type Verifier } from './note.ts';

const ED25519_COSIGNATURE = 0x04;
const ML_DSA_44_COSIGNATURE = 0x06;

/** `name+hex8(keyID)+base64(0x04 ‖ public key)`. */
export function formatWitnessKey(name: string, publicKey: Uint8Array): string {
  return formatVerifierKey(name, publicKey, ED25519_COSIGNATURE);
}

/** keyID = SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key)[0..4]. */
export function witnessKeyId(name: string, publicKey: Uint8Array): Uint8Array {
  return noteKeyId(name, publicKey, ED25519_COSIGNATURE);
}

/** The key of a witness. @throws FormatError `witness-key`, `verifier-key`, `base64-invalid` */
export function parseWitnessKey(text: string): Verifier {
  const { type, ...key } = parseTypedKey(text);
  if (type === ML_DSA_44_COSIGNATURE) {
    throw new FormatError(
      'witness-key',
      'the key is one of ML-DSA-44 (0x06): take the Ed25519 key (0x04) of the witness',
    );
  }
  if (type !== ED25519_COSIGNATURE || key.publicKey.length !== 32) {
    throw new FormatError('witness-key', 'the key is not that of a witness (0x04 and 32 bytes, Ed25519)');
  }
  return key;
}

/** What a witness signs: that at `time` (seconds since the Unix epoch) this was the largest checkpoint it had seen. */
export function cosignedText(checkpoint: string, time: number): string {
  return `cosignature/v1\ntime ${time}\n${checkpoint}`;
}

/** A signature line's parts, made of what Ed25519 gave for `cosignedText`. */
export function cosignatureOf(
  key: { name: string; publicKey: Uint8Array },
  time: number,
  signature: Uint8Array,
): NoteSignature {
  return {
    name: key.name,
    keyId: witnessKeyId(key.name, key.publicKey),
    signature: concat(u64(time), signature),
  };
}

export type Cosignature =
  /** `time`: seconds since the Unix epoch, by the witness's clock. */
  | { readonly status: 'verified'; readonly time: number; readonly line: NoteSignature }
  /** A signature under the witness's name and key id does not hold. */
  | { readonly status: 'refuted' }
  | { readonly status: 'absent' };

/** What a witness says of the checkpoint in a note; where it says so twice, the later. */
export function checkCosignature(note: Note, witness: Verifier): Cosignature {
  let found: Cosignature = { status: 'absent' };
  for (const line of note.signatures) {
    if (line.name !== witness.name || !equalBytes(line.keyId, witness.keyId)) continue;
    const time = timeOf(line.signature, note.text, witness);
    if (time === null) return { status: 'refuted' };
    if (found.status !== 'verified' || found.time < time) found = { status: 'verified', time, line };
  }
  return found;
}

function timeOf(bytes: Uint8Array, text: string, witness: Verifier): number | null {
  if (bytes.length !== 8 + 64) return null;
  const time = parsed(() => readU64(bytes, 0));
  // Time 0 means that the witness does not say that this was its largest checkpoint.
  if (time === null || time === 0) return null;
  const message = utf8(cosignedText(text, time));
  return verifyEd25519(bytes.subarray(8), message, witness.publicKey) ? time : null;
}
