import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';
import {
  checkChainId,
  checkpointLeafPrefix,
  encodeCheckpointLeaf,
  encodeDigestLeaf,
  encodeLink,
  parseCheckpointLeaf,
  parseLink,
} from '../../src/core/round.ts';

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const chain = fc.stringMatching(/^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/);
const beacon = fc.record({ chain, height: fc.maxSafeNat(), hash });
const link = fc.record({
  number: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  closedAt: fc.maxSafeNat(),
  previousRoot: hash,
  beacons: fc.array(beacon, { maxLength: 3 }),
});
const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });
const sample = {
  number: 7,
  closedAt: 1_700_000_000_000,
  previousRoot: new Uint8Array(32).fill(1),
  beacons: [
    { chain: 'eip155:1', height: 5, hash: new Uint8Array(32).fill(2) },
    { chain: 'bip122:000000000019d6689c085ae165831e93', height: 6, hash: new Uint8Array(32).fill(3) },
  ],
};

describe('link', () => {
  test('comes back', () =>
    fc.assert(
      fc.property(link, (l) => {
        expect(parseLink(encodeLink(l))).toEqual(l);
      }),
    ));

  test('a link that is cut within a beacon is refused', () => {
    const bytes = encodeLink(sample);
    const ends = [49, 49 + 1 + 8 + 40, bytes.length];
    for (let length = 0; length <= bytes.length; length++) {
      const cut = bytes.slice(0, length);
      if (ends.includes(length)) expect(parseLink(cut).beacons).toEqual(sample.beacons.slice(0, ends.indexOf(length)));
      else expect(() => parseLink(cut)).toThrow(expect.objectContaining({ name: 'FormatError' }));
    }
    expect(() => parseLink(concat(bytes, new Uint8Array(1)))).toThrow(code('round-link'));
  });

  test('every link that parses encodes to the same bytes, also after a changed byte', () =>
    fc.assert(
      fc.property(link, fc.nat(), fc.nat({ max: 255 }), (l, at, value) => {
        const bytes = encodeLink(l);
        bytes[at % bytes.length] = value;
        try {
          expect(toHex(encodeLink(parseLink(bytes)))).toBe(toHex(bytes));
        } catch (error) {
          expect(error).toHaveProperty('name', 'FormatError');
        }
      }),
      { numRuns: 2_000 },
    ));

  test('a byte order mark before a chain id is no part of it', () => {
    const name = concat(new Uint8Array([0xef, 0xbb, 0xbf]), utf8('eip155:1'));
    const bytes = concat(
      encodeLink({ ...sample, beacons: [] }),
      new Uint8Array([name.length]),
      name,
      new Uint8Array(40),
    );
    expect(() => parseLink(bytes)).toThrow(code('chain-id'));
  });

  test('four beacons, number 0, another type byte, hashes of other lengths', () => {
    const [first = { chain: '', height: 0, hash: new Uint8Array() }] = sample.beacons;
    expect(() => encodeLink({ ...sample, beacons: [first, first, first, first] })).toThrow(code('round-link'));
    const four = concat(encodeLink(sample), encodeLink(sample).slice(49));
    expect(() => parseLink(four)).toThrow(code('round-link'));
    expect(() => encodeLink({ ...sample, number: 0 })).toThrow(code('round-link'));
    const zero = encodeLink(sample);
    zero.fill(0, 1, 9);
    expect(() => parseLink(zero)).toThrow(code('round-link'));
    expect(() => parseLink(concat(new Uint8Array([0x81]), encodeLink(sample).slice(1)))).toThrow(code('round-link'));
    expect(() => encodeLink({ ...sample, previousRoot: new Uint8Array(31) })).toThrow(code('hash-length'));
    expect(() => encodeLink({ ...sample, beacons: [{ ...first, hash: new Uint8Array(33) }] })).toThrow(
      code('hash-length'),
    );
  });

  test.each([
    '',
    'eip155',
    'eip155:',
    ':1',
    'EIP155:1',
    'ab:1',
    'toolongns1:1',
    'eip155:1 ',
    `eip155:${'1'.repeat(33)}`,
  ])('%j is no chain id', (text) => {
    expect(() => checkChainId(text)).toThrow(code('chain-id'));
  });
});

describe('checkpoint leaf', () => {
  const leaf = fc.record({ logId: hash, size: fc.maxSafeNat(), root: hash });

  test('73 bytes that come back, the root at their end', () =>
    fc.assert(
      fc.property(leaf, (l) => {
        const bytes = encodeCheckpointLeaf(l);
        expect(bytes.length).toBe(73);
        expect(parseCheckpointLeaf(bytes)).toEqual(l);
        expect(concat(checkpointLeafPrefix(l), l.root)).toEqual(bytes);
      }),
    ));

  test('another length or type byte', () => {
    const bytes = encodeCheckpointLeaf({ logId: new Uint8Array(32), size: 1, root: new Uint8Array(32) });
    for (const wrong of [bytes.slice(1), bytes.slice(0, -1), concat(bytes, new Uint8Array(1)), new Uint8Array(0)]) {
      expect(() => parseCheckpointLeaf(wrong)).toThrow(code('round-leaf'));
    }
    for (const type of [0x80, 0x82, 0x01]) {
      expect(() => parseCheckpointLeaf(concat(new Uint8Array([type]), bytes.slice(1)))).toThrow(code('round-leaf'));
    }
  });
});

test('digest leaf', () => {
  const nonce = new Uint8Array(16).fill(5);
  for (const length of [1, 20, 32, 64]) {
    const digest = new Uint8Array(length).fill(4);
    expect(encodeDigestLeaf(digest, nonce)).toEqual(concat(new Uint8Array([0x82]), sha256(concat(digest, nonce))));
  }
  expect(() => encodeDigestLeaf(new Uint8Array(0), nonce)).toThrow(code('digest-length'));
  expect(() => encodeDigestLeaf(new Uint8Array(65), nonce)).toThrow(code('digest-length'));
});
