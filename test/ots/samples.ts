import fc from 'fast-check';
import { serializeOtsFile } from '../../src/ots/file.ts';
import { files } from './arbitrary.ts';
import { example } from './examples.ts';

/** Proofs with forks and every kind of attestation. */
export const varied = fc.sample(files, { numRuns: 40, seed: 11 }).map(serializeOtsFile);
/** Proofs of the real world. */
export const real = ['hello-world.txt.ots', 'known-and-unknown-notary.txt.ots', 'sha1/a_or_b.ots'].map(example);
