// A witness whose key is of ML-DSA-44, without a service of its own; under the name of a log, its second key.

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

/** @param time seconds; 0, as of a log: it does not say when @param seed another makes another key */
export function mlDsaWitness(name: string, { time = Date.UTC(2026, 6, 1) / 1_000, seed = name } = {}): MlDsaWitness {
  const { publicKey, secretKey } = ml_dsa44.keygen(utf8(seed.padEnd(32).slice(-32)));
  const vkey = formatWitnessKey(name, publicKey, ML_DSA_44_COSIGNATURE);
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
