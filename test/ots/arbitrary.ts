// Timestamps at random, for fast-check.

import fc from 'fast-check';
import { fromHex } from '../../src/core/bytes.ts';
import type { Attestation } from '../../src/ots/attestation.ts';
import type { OtsFile } from '../../src/ots/file.ts';
import { timestampOf } from '../../src/ots/line.ts';
import { digestLength, type Op } from '../../src/ots/operation.ts';
import type { Timestamp } from '../../src/ots/timestamp.ts';

const unary = fc.constantFrom<Exclude<Op, { argument: Uint8Array }>['kind'][]>(
  'sha1',
  'ripemd160',
  'sha256',
  'keccak256',
  'reverse',
  'hexlify',
);

/** Few and short ones, so that lines meet and part again. */
export const operations = fc.oneof(
  unary.map((kind): Op => ({ kind })),
  fc.record({
    kind: fc.constantFrom('append' as const, 'prepend' as const),
    argument: fc.uint8Array({ minLength: 1, maxLength: 3, max: 2 }),
  }),
);

export const attestations: fc.Arbitrary<Attestation> = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9._/:-]{0,40}$/).map((uri): Attestation => ({ kind: 'pending', uri })),
  fc.record({
    kind: fc.constantFrom('bitcoin' as const, 'litecoin' as const, 'ethereum' as const),
    height: fc.oneof(fc.nat(300), fc.maxSafeNat()),
  }),
  fc.record({
    kind: fc.constant('unknown' as const),
    tag: fc.constantFrom(fromHex('0000000000000000'), fromHex('ffffffffffffffff')),
    payload: fc.uint8Array({ maxLength: 4 }),
  }),
);

/** Seven doublings of a digest stay below 4096. */
const lines = fc.array(fc.record({ ops: fc.array(operations, { maxLength: 7 }), attestation: attestations }), {
  minLength: 1,
  maxLength: 12,
});

export function timestamps(message: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Timestamp> {
  return fc.tuple(message, lines).map(([start, ends]) => timestampOf(start, ends));
}

export const files: fc.Arbitrary<OtsFile> = fc
  .constantFrom('sha1' as const, 'ripemd160' as const, 'sha256' as const, 'keccak256' as const)
  .chain((hash) => {
    const length = digestLength(hash);
    const digest = fc.uint8Array({ minLength: length, maxLength: length });
    return timestamps(digest).map((timestamp) => ({ hash, timestamp }));
  });
