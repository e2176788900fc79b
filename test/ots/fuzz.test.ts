// Whatever comes in, an answer comes out in bounded time.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import { parseOtsFile, serializeOtsFile } from '../../src/ots/file.ts';
import { MAX_TIMESTAMP } from '../../src/ots/serialization.ts';
import { meaningOf } from './meaning.ts';
import { mutated } from './mutation.ts';
import { BLOCK, bytes, DIGEST, file, PENDING_TAG, refusal } from './refusal.ts';
import { real, varied } from './samples.ts';

describe('input that asks for much work for little', () => {
  const full = concat(bytes(0xf0, 0xe0, 0x1f), new Uint8Array(4064));
  const to = (tree: readonly Uint8Array[]): Uint8Array =>
    new Uint8Array(Buffer.concat([file(), ...tree])).subarray(0, MAX_TIMESTAMP);
  const many = (part: Uint8Array): Uint8Array[] =>
    Array<Uint8Array>(Math.floor(MAX_TIMESTAMP / part.length)).fill(part);
  const numbered = (make: (i: number) => Uint8Array): Uint8Array[] => Array.from({ length: 20_000 }, (_, i) => make(i));

  test.each<[string, Uint8Array]>([
    ['reverse on reverse of 4096 bytes', to([full, ...many(bytes(0xff, 0xf2))])],
    [
      'every hash of every turn of 4096 bytes',
      to([full, ...many(concat(...[2, 3, 8, 0x67].map((op) => concat(bytes(0xff, op), BLOCK)), bytes(0xf2)))]),
    ],
    ['20,000 branches', to(numbered((i) => concat(bytes(0xff, 0xf0, 2, i >> 8, i & 255), BLOCK)))],
    [
      '20,000 attestations',
      to(numbered((i) => concat(bytes(0xff, 0), DIGEST.subarray(0, 6), bytes(i >> 8, i & 255, 0)))),
    ],
    ['the same branch again and again', to(many(concat(bytes(0xff, 0x08), BLOCK)))],
    ['more siblings to come without end', to(many(bytes(0xff, 0x08)))],
    ['ff throughout', to(many(bytes(0xff)))],
    ['zeros throughout', to(many(bytes(0)))],
  ])('%s: an answer, the time printed', (name, input) => {
    const start = performance.now();
    refusal(input);
    // Where the input was cut there may be an end that fits.
    refusal(concat(input.subarray(0, MAX_TIMESTAMP - BLOCK.length), BLOCK));
    console.log(`${name}: ${Math.round(performance.now() - start)} ms`);
  });

  test('more than 4 MiB of messages are refused', () => {
    const branch = (i: number): Uint8Array => concat(bytes(0xff, 0xf1, 2, i >> 8, i & 255), BLOCK);
    const wide = concat(bytes(0xf0, 0xd8, 0x1f), new Uint8Array(4056));
    const tree = [...Array.from({ length: 1_100 }, (_, i) => branch(i)), bytes(0x08), BLOCK];
    expect(refusal(file(wide, ...tree))?.code).toBe('ots-work');
    expect(refusal(file(wide, ...tree.slice(200)))).toBeNull();
  });
});

test('50,000 inputs at random, and none gets by: refused with a code, or written to the same meaning', () => {
  const part = fc.oneof(
    fc.constantFrom(BLOCK, bytes(0xff), bytes(0xff, 0x00), bytes(0x08), bytes(0xf2), bytes(0xf3), bytes(0x67)),
    fc.constant(concat(bytes(0), PENDING_TAG, bytes(2, 1, 0x61))),
    fc.uint8Array({ minLength: 1, maxLength: 3 }).map((argument) => concat(bytes(0xf0, argument.length), argument)),
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map((tag) => concat(bytes(0), tag, bytes(0))),
    fc.uint8Array({ maxLength: 12 }),
  );
  const fragments = fc.array(part, { maxLength: 14 }).map((parts) => file(...parts, BLOCK));
  const changed = fc.tuple(fc.constantFrom(...varied, ...real), fc.nat()).map(([whole, seed]) => mutated(whole, seed));
  const noise = fc.uint8Array({ maxLength: 200 });
  const count = { taken: 0, refused: 0 };
  const start = performance.now();
  fc.assert(
    fc.property(fc.oneof(fragments, changed, noise), (input) => {
      const error = refusal(input);
      if (error !== null) return void count.refused++;
      count.taken++;
      const first = parseOtsFile(input);
      const written = serializeOtsFile(first);
      const again = parseOtsFile(written);
      if (written.length > input.length) throw new Error('written longer than it was read');
      if (toHex(serializeOtsFile(again)) !== toHex(written)) throw new Error('written differently the second time');
      if (JSON.stringify(meaningOf(again)) !== JSON.stringify(meaningOf(first))) throw new Error('another meaning');
    }),
    { numRuns: 50_000, seed: 5 },
  );
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`fuzz: 50,000 inputs in ${seconds} s: ${count.taken} taken, ${count.refused} refused`);
  expect(count.taken).toBeGreaterThan(4_000);
  expect(count.refused).toBeGreaterThan(5_000);
});
