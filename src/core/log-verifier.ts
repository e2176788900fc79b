// The keys that logs sign checkpoints with: Ed25519 (C2SP signed-note) and ML-DSA-44 (C2SP tlog-cosignature, which logs use as well).

import { checkCosignature, ML_DSA_44_COSIGNATURE, parseWitnessKey } from './cosignature.ts';
import { FormatError } from './errors.ts';
import { checkNote, ED25519_NOTE, type Note, parseTypedKey, parseVerifierKey, type Verifier } from './note.ts';

/** The public key of a log: of type 0x01 with 32 bytes, or 0x06 with 1,312. */
export interface LogVerifier extends Verifier {
  readonly type: number;
}

/** @throws FormatError `verifier-key`, `base64-invalid` */
export function parseLogVerifier(text: string): LogVerifier {
  const { type } = parseTypedKey(text);
  if (type === ED25519_NOTE) return { ...parseVerifierKey(text), type };
  if (type !== ML_DSA_44_COSIGNATURE) {
    throw new FormatError('verifier-key', 'the verifier key is not that of a log: Ed25519 (0x01) or ML-DSA-44 (0x06)');
  }
  try {
    return parseWitnessKey(text);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new FormatError('verifier-key', cause.message, { cause });
  }
}

/**
 * What a key of a log says of a checkpoint, as `checkNote` does. A log does not say by ML-DSA when it signed: its signatures have
 * the time 0.
 */
export function checkLogSignature(note: Note, key: LogVerifier): 'verified' | 'refuted' | 'absent' {
  if (key.type === ED25519_NOTE) return checkNote(note, key);
  return checkCosignature(note, { ...key, id: key.publicKey }, { untimed: true }).status;
}
