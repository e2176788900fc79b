import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import * as noble from '../../src/core/sha256.noble.ts';
import * as node from '../../src/core/sha256.node.ts';

test('the vector of FIPS 180-4', () => {
  const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  expect(toHex(node.sha256(utf8('abc')))).toBe(abc);
  expect(toHex(noble.sha256(utf8('abc')))).toBe(abc);
});

test('the Node and browser implementations agree, also when writing into a larger buffer', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 40 }), (data, offset) => {
      const expected = toHex(noble.sha256(data));
      expect(toHex(node.sha256(data))).toBe(expected);
      for (const form of [node, noble]) {
        const out = new Uint8Array(80).subarray(2);
        form.sha256Into(data, out, offset);
        expect(toHex(out.slice(offset, offset + 32))).toBe(expected);
        expect(out.slice(0, offset).every((byte) => byte === 0)).toBe(true);
        expect(out.slice(offset + 32).every((byte) => byte === 0)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test('a hash that overwrites its own input', () => {
  for (const form of [node, noble]) {
    const buffer = new Uint8Array(64).fill(7);
    const expected = toHex(noble.sha256(buffer));
    form.sha256Into(buffer, buffer, 0);
    expect(toHex(buffer.slice(0, 32))).toBe(expected);
  }
});
