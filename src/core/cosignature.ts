// C2SP tlog-cosignature: what witnesses say of checkpoints, signed with Ed25519 or ML-DSA-44.

import { verifyEd25519 } from '#ed25519';
import { verifyMlDsa44 } from '#ml-dsa';
import { sha256 } from '#sha256';
import { concat, equalBytes, readU64, u64, utf8 } from './bytes.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { FormatError, parsed } from './errors.ts';
import {
  ED25519_NOTE,
  formatVerifierKey,
  type Note,
  type NoteSignature,
  noteKeyId,
  parseTypedKey,
  type Verifier,
} from './note.ts';

export const ED25519_COSIGNATURE = 0x04;
export const ML_DSA_44_COSIGNATURE = 0x06;
/** Bytes of the public keys of each type. */
const KEY_LENGTHS: ReadonlyMap<number, number> = new Map([
  [ED25519_COSIGNATURE, 32],
  [ML_DSA_44_COSIGNATURE, 1_312],
]);

/** The key of a witness. */
export interface WitnessKey extends Verifier {
  /** The type of its signatures: 0x04 Ed25519, 0x06 ML-DSA-44; others cannot be checked here. */
  readonly type: number;
  /** 32 bytes that tell keys apart whatever they are called: an Ed25519 key itself, of others their SHA-256. */
  readonly id: Uint8Array;
}

/** Whether cosignatures by this key can be checked; those of other keys do not count. */
export const isCheckable = ({ type }: WitnessKey): boolean => KEY_LENGTHS.has(type);

/** `name+hex8(keyID)+base64(type ‖ public key)`. @param type default: Ed25519 */
export function formatWitnessKey(name: string, publicKey: Uint8Array, type = ED25519_COSIGNATURE): string {
  return formatVerifierKey(name, publicKey, type);
}

/** keyID = SHA-256(name ‖ 0x0A ‖ type ‖ public key)[0..4]. */
export function witnessKeyId(name: string, { publicKey, type }: WitnessKey): Uint8Array {
  return noteKeyId(name, publicKey, type);
}

/**
 * The key of a witness, of any type of cosignature that there is or will be.
 * @throws FormatError `witness-key`, `verifier-key`, `base64-invalid`
 */
export function parseWitnessKey(text: string): WitnessKey {
  const key = parseTypedKey(text);
  const { type, publicKey } = key;
  if (type === ED25519_NOTE) {
    throw new FormatError('witness-key', 'the key is that of a log (0x01), not of a witness (0x04 or 0x06)');
  }
  const length = KEY_LENGTHS.get(type);
  if (length !== undefined && publicKey.length !== length) {
    const kind = type === ED25519_COSIGNATURE ? 'Ed25519 (0x04)' : 'ML-DSA-44 (0x06)';
    throw new FormatError('witness-key', `the key has ${publicKey.length} bytes, one of ${kind} has ${length}`);
  }
  // ML-DSA signs the name after one byte of its length.
  if (type === ML_DSA_44_COSIGNATURE && utf8(key.name).length > 255) {
    throw new FormatError('witness-key', 'the name of a key of ML-DSA-44 has at most 255 bytes');
  }
  return { ...key, id: type === ED25519_COSIGNATURE ? publicKey : sha256(publicKey) };
}

/** What is signed with Ed25519: that at `time` (seconds since the Unix epoch) this was the largest checkpoint it had seen. */
export function cosignedText(checkpoint: string, time: number): string {
  return `cosignature/v1\ntime ${time}\n${checkpoint}`;
}

/**
 * What is signed with ML-DSA-44: the same of the checkpoint's first three lines, with the name of the witness.
 * @throws FormatError `checkpoint-invalid` also for an origin of more than 255 bytes
 */
export function cosignedMessage(name: string, checkpoint: string, time: number): Uint8Array {
  const { origin, size, root } = parseCheckpoint(checkpoint);
  return concat(utf8('subtree/v1\n\0'), opaque(name), u64(time), opaque(origin), u64(0), u64(size), root);
}

function opaque(text: string): Uint8Array {
  const bytes = utf8(text);
  if (bytes.length > 255) throw new FormatError('checkpoint-invalid', 'a name of more than 255 bytes');
  return concat(new Uint8Array([bytes.length]), bytes);
}

/** A signature line's parts, made of what the key gave for `cosignedText` or `cosignedMessage`. */
export function cosignatureOf(key: WitnessKey, time: number, signature: Uint8Array): NoteSignature {
  return { name: key.name, keyId: key.keyId, signature: concat(u64(time), signature) };
}

export type Cosignature =
  /** `time`: seconds since the Unix epoch, by the witness's clock. */
  | { readonly status: 'verified'; readonly time: number; readonly line: NoteSignature }
  /** A signature under the witness's name and key id does not hold. */
  | { readonly status: 'refuted' }
  | { readonly status: 'absent' };

/**
 * What a witness says of the checkpoint in a note; where it says so twice, the later. Absent where it cannot be checked.
 * @param untimed whether the time may be 0: then the signer does not say that this was its largest checkpoint
 */
export function checkCosignature(note: Note, witness: WitnessKey, { untimed = false } = {}): Cosignature {
  let found: Cosignature = { status: 'absent' };
  if (!isCheckable(witness)) return found;
  for (const line of note.signatures) {
    if (line.name !== witness.name || !equalBytes(line.keyId, witness.keyId)) continue;
    const time = timeOf(line.signature, note.text, witness, untimed);
    if (time === null) return { status: 'refuted' };
    if (found.status !== 'verified' || found.time < time) found = { status: 'verified', time, line };
  }
  return found;
}

function timeOf(bytes: Uint8Array, text: string, witness: WitnessKey, untimed: boolean): number | null {
  const time = parsed(() => readU64(bytes, 0));
  if (time === null || (time === 0 && !untimed)) return null;
  const signature = bytes.subarray(8);
  return holds(signature, text, time, witness) ? time : null;
}

function holds(signature: Uint8Array, text: string, time: number, { type, name, publicKey }: WitnessKey): boolean {
  if (type === ED25519_COSIGNATURE) {
    const message = utf8(cosignedText(text, time));
    return signature.length === 64 && verifyEd25519(signature, message, publicKey);
  }
  const message = parsed(() => cosignedMessage(name, text, time));
  return message !== null && signature.length === 2_420 && verifyMlDsa44(signature, message, publicKey);
}
