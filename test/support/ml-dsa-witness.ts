// A witness whose key is of ML-DSA-44, without a service of its own.

import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { utf8 } from '../../src/core/bytes.ts';
import {
  cosignatureOf,
  cosignedMessage,
  formatWitnessKey,
  ML_DSA_44_COSIGNATURE,
  parseWitnessKey,
} from '../../src/core/cosignature.ts';
import { formatNote, joinNotes, parseNote } from '../../src/core/note.ts';

export interface MlDsaWitness {
  readonly vkey: string;
  /** A checkpoint with its cosignature behind those that are there. */
  cosigned(checkpoint: string): string;
}

export function mlDsaWitness(name: string): MlDsaWitness {
  const { publicKey, secretKey } = ml_dsa44.keygen(utf8(name.padEnd(32).slice(-32)));
  const vkey = formatWitnessKey(name, publicKey, ML_DSA_44_COSIGNATURE);
  const time = Date.UTC(2026, 6, 1) / 1_000;
  return {
    vkey,
    cosigned(checkpoint) {
      const { text } = parseNote(checkpoint);
      const signature = ml_dsa44.sign(cosignedMessage(name, text, time), secretKey);
      const line = cosignatureOf(parseWitnessKey(vkey), time, signature);
      return joinNotes([checkpoint, formatNote({ text, signatures: [line] })]);
    },
  };
}
