import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareBytes,
  concat,
  concatAll,
  equalBytes,
  excerpt,
  fromBase64,
  fromHex,
  readU64,
  toBase64,
  toHex,
  u64,
  utf8,
  writeU64,
} from '../../src/core/bytes.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });

describe('hex', () => {
  test('comes back, and is what Node writes', () =>
    fc.assert(
      fc.property(bytes, (b) => {
        expect(toHex(b)).toBe(Buffer.from(b).toString('hex'));
        expect(fromHex(toHex(b))).toEqual(b);
      }),
    ));

  test.each(['0', 'AB', '0x00', 'zz', ' 00', '00 ', '00\n', '0g', '٠٠', '0\u0000'])('%j is refused', (text) => {
    expect(() => fromHex(text)).toThrow(code('hex-invalid'));
  });
});

describe('base64', () => {
  test('comes back, and is what Node writes', () =>
    fc.assert(
      fc.property(bytes, (b) => {
        expect(toBase64(b)).toBe(Buffer.from(b).toString('base64'));
        expect(fromBase64(toBase64(b))).toEqual(b);
      }),
    ));

  test('100,000 bytes', () => {
    const long = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7);
    expect(fromBase64(toBase64(long))).toEqual(long);
  });

  test('is the only spelling: every text that is read encodes to itself', () =>
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ABab01+/=-_ \n'), maxLength: 12 }), (text) => {
        try {
          expect(toBase64(fromBase64(text))).toBe(text);
        } catch (error) {
          expect(error).toEqual(code('base64-invalid'));
        }
      }),
      { numRuns: 2_000 },
    ));

  test.each(['AA', 'AA=', 'AAA', 'A===', '====', 'AB==', 'AAB=', 'AA==\n', ' AA==', 'AA==AA==', 'A-_A', 'AAAA=AAA'])(
    '%j is refused',
    (text) => {
      expect(() => fromBase64(text)).toThrow(code('base64-invalid'));
    },
  );
});

describe('order', () => {
  test('is that of memcmp', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
        expect(compareBytes(a, b)).toBe(Buffer.compare(a, b));
        expect(equalBytes(a, b)).toBe(toHex(a) === toHex(b));
      }),
      { numRuns: 2_000 },
    ));

  test('a prefix is before what it begins', () => {
    expect(compareBytes(utf8('a'), utf8('ab'))).toBe(-1);
    expect(compareBytes(utf8('ab'), utf8('a'))).toBe(1);
    expect(equalBytes(new Uint8Array(32), new Uint8Array(33))).toBe(false);
  });
});

describe('u64', () => {
  test('comes back, and is what DataView writes', () =>
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        const expected = new DataView(new ArrayBuffer(8));
        expected.setBigUint64(0, BigInt(n));
        expect(u64(n)).toEqual(new Uint8Array(expected.buffer));
        expect(readU64(u64(n), 0)).toBe(n);
      }),
    ));

  test.each([0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1])('%d', (n) => expect(readU64(u64(n), 0)).toBe(n));

  test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])('%d is not written', (n) => {
    expect(() => u64(n)).toThrow(code('integer-range'));
  });

  test('2^53 and more, or less than 8 bytes, are not read', () => {
    expect(() => readU64(fromHex('0020000000000000'), 0)).toThrow(code('integer-range'));
    expect(() => readU64(fromHex('ffffffffffffffff'), 0)).toThrow(code('integer-range'));
    expect(readU64(fromHex('001fffffffffffff'), 0)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => readU64(new Uint8Array(7), 0)).toThrow(code('integer-range'));
    expect(() => readU64(new Uint8Array(8), 1)).toThrow(code('integer-range'));
    expect(() => readU64(new Uint8Array(8), -1)).toThrow(code('integer-range'));
  });

  test('is written at its offset and nowhere else', () => {
    const out = new Uint8Array(10).fill(0xee);
    writeU64(out, 1, 0x0102);
    expect(toHex(out)).toBe('ee0000000000000102ee');
  });
});

test('any number of parts is put together', () => {
  const parts = Array.from({ length: 500_000 }, (_, i) => Uint8Array.of(i));
  expect(concatAll(parts)).toEqual(Uint8Array.from(parts, ([byte]) => byte ?? 0));
});

test('concat', () => {
  expect(toHex(concat())).toBe('');
  expect(toHex(concat(fromHex('01'), new Uint8Array(0), fromHex('0203')))).toBe('010203');
});

test('an excerpt is short and has no control character', () =>
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
      const short = excerpt(text);
      expect(short.length).toBeLessThan(300);
      expect([...short].every((c) => c >= ' ')).toBe(true);
    }),
  ));

test('an excerpt has the first forty characters, and says when there are more', () => {
  expect(excerpt('a'.repeat(40))).toBe(`"${'a'.repeat(40)}"`);
  expect(excerpt('a'.repeat(41))).toBe(`"${'a'.repeat(40)}…"`);
});
