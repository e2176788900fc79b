import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { type Cbor, CborTag, decodeCbor, encodeCbor } from '../../src/core/cbor.ts';

/** RFC 8949, Appendix A. */
const VECTORS: readonly [string, Cbor][] = [
  ['00', 0],
  ['17', 23],
  ['1818', 24],
  ['18ff', 255],
  ['190100', 256],
  ['1903e8', 1000],
  ['1a000f4240', 1_000_000],
  ['1b000000e8d4a51000', 1_000_000_000_000],
  ['1b001fffffffffffff', Number.MAX_SAFE_INTEGER],
  ['20', -1],
  ['3863', -100],
  ['3903e7', -1000],
  ['f6', null],
  ['40', new Uint8Array(0)],
  ['4401020304', Uint8Array.of(1, 2, 3, 4)],
  ['60', ''],
  ['62c3bc', 'ü'],
  ['64f0908591', '𐅑'],
  ['80', []],
  ['8301820203820405', [1, [2, 3], [4, 5]]],
  ['a0', new Map()],
  ['a201020304', new Map([[3, 4], [1, 2]])], // biome-ignore format: one pair a member
  ['a26161016162820203', new Map<string, Cbor>([['b', [2, 3]], ['a', 1]])], // biome-ignore format: the same
  ['c11a514b67b0', new CborTag(1, 1_363_896_240)],
];

describe('CBOR', () => {
  it.each(VECTORS)('%s is written and read as RFC 8949 has it', (hex, value) => {
    expect(toHex(encodeCbor(value))).toBe(hex);
    expect(decodeCbor(fromHex(hex))).toEqual(value);
  });

  it.each([
    ['', 'cbor-invalid'],
    ['18', 'cbor-invalid'],
    ['0000', 'cbor-invalid'],
    ['1c', 'cbor-invalid'],
    ['4301', 'cbor-invalid'],
    ['8201', 'cbor-invalid'],
    ['9bffffffffffffffff', 'cbor-unsupported'],
    ['9b001fffffffffffff', 'cbor-invalid'],
    ['61ff', 'cbor-invalid'],
    ['1817', 'cbor-unsupported'],
    ['1900ff', 'cbor-unsupported'],
    ['1b00000000ffffffff', 'cbor-unsupported'],
    ['5801ff', 'cbor-unsupported'],
    ['a203040102', 'cbor-unsupported'],
    ['a201020102', 'cbor-unsupported'],
    ['a1f600', 'cbor-unsupported'],
    ['f4', 'cbor-unsupported'],
    ['f90000', 'cbor-unsupported'],
    ['5f40ff', 'cbor-unsupported'],
    ['818181818181818181', 'cbor-unsupported'],
  ])('%s is refused: %s', (hex, code) => {
    expect(() => decodeCbor(fromHex(hex))).toThrow(expect.objectContaining({ code }));
  });
});
