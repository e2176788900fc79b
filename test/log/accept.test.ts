import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { concat, utf8 } from '../../src/core/bytes.ts';
import { MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES } from '../../src/core/limits.ts';
import { acceptDigests, acceptLines, acceptPayload, cutLines } from '../../src/log/accept.ts';

const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });
const lines = (body: string | Uint8Array): string[] =>
  acceptLines(cutLines(typeof body === 'string' ? utf8(body) : body)).map(({ payload }) =>
    Buffer.from(payload ?? '').toString('latin1'),
  );

describe('a body as one entry', () => {
  test('is kept as it is, newlines and all', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        expect(acceptPayload(body)).toEqual([{ digest: sha256(body), payload: body }]);
      }),
    ));

  test('of a mebibyte, not of more', () => {
    expect(acceptPayload(new Uint8Array(MAX_ENTRY_BYTES))).toHaveLength(1);
    expect(() => acceptPayload(new Uint8Array(MAX_ENTRY_BYTES + 1))).toThrow(code('entry-too-large'));
  });
});

describe('a body as lines', () => {
  test.each([
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\nb', ['a', 'b']],
    ['a\n\nb\n', ['a', 'b']],
    ['\n\na', ['a']],
    [' \t\r\na\n\r\n', ['a']],
    ['a\r\nb\r\n', ['a\r', 'b\r']],
    [' a \n', [' a ']],
    ['a\u0000b\n\u0000\n', ['a\u0000b', '\u0000']],
    ['\u000b\n\u000c', ['\u000b', '\u000c']],
    ['{"a":1}\n{"a":1}\n', ['{"a":1}', '{"a":1}']],
  ])('%j', (body, expected) => expect(lines(body)).toEqual(expected));

  test('bytes that are no UTF-8', () => {
    expect(lines(new Uint8Array([0xff, 0x0a, 0xc0, 0x80, 0x0a, 0xa0]))).toEqual(['\u00ff', '\u00c0\u0080', '\u00a0']);
  });

  test('are those that splitting at newlines gives, without the blank ones', () =>
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ' ', '\n', '\r', '\t'), maxLength: 30 }), (body) => {
        const expected = body.split('\n').filter((line) => !/^[ \t\r]*$/.test(line));
        if (expected.length === 0) expect(() => lines(body)).toThrow(code('batch-empty'));
        else expect(lines(body)).toEqual(expected);
      }),
      { numRuns: 1_000 },
    ));

  test('each with its own digest', () => {
    expect(acceptLines(cutLines(utf8('a\nb'))).map(({ digest }) => digest)).toEqual([
      sha256(utf8('a')),
      sha256(utf8('b')),
    ]);
  });

  test('is the same in pieces, wherever they are cut', () =>
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'bc', '\n', ' \n', '\r\n', '')), (pieces) => {
        const payloads = (...parts: Uint8Array[]) =>
          acceptLines(cutLines(...parts)).map(({ payload }) => Buffer.from(payload ?? ''));
        const whole = `x\n${pieces.join('')}`;
        expect(payloads(utf8('x\n'), ...pieces.map(utf8))).toEqual(payloads(utf8(whole)));
      }),
    ));

  test('10,000 of them, blank ones not counted; not one more', () => {
    const many = 'x\n\n'.repeat(MAX_BATCH_ENTRIES);
    expect(lines(many)).toHaveLength(MAX_BATCH_ENTRIES);
    expect(lines(`${many} \n`)).toHaveLength(MAX_BATCH_ENTRIES);
    expect(() => lines(`${many}x`)).toThrow(code('batch-too-large'));
  });

  test('a line that is too long keeps its place, by its digest alone', () => {
    const long = new Uint8Array(MAX_ENTRY_BYTES + 1).fill(65);
    const accepted = acceptLines(cutLines(concat(utf8('a\n\n'), long, utf8('\nb'))));
    expect(accepted.map(({ digest }) => digest)).toEqual([sha256(utf8('a')), sha256(long), sha256(utf8('b'))]);
    expect(accepted.map(({ payload }) => payload === null)).toEqual([false, true, false]);
    const [longest] = acceptLines(cutLines(long.subarray(1)));
    expect(longest?.payload).toHaveLength(MAX_ENTRY_BYTES);
  });
});

describe('digests', () => {
  const digest = sha256(utf8('a'));

  test('have no payload', () => expect(acceptDigests([digest])).toEqual([{ digest, payload: null }]));

  test('1 to 10,000 of 32 bytes', () => {
    expect(acceptDigests(Array.from({ length: MAX_BATCH_ENTRIES }, () => digest))).toHaveLength(MAX_BATCH_ENTRIES);
    expect(() => acceptDigests([])).toThrow(code('batch-empty'));
    expect(() => acceptDigests(Array.from({ length: MAX_BATCH_ENTRIES + 1 }, () => digest))).toThrow(
      code('batch-too-large'),
    );
    for (const length of [0, 31, 33]) {
      expect(() => acceptDigests([digest, new Uint8Array(length)])).toThrow(code('digest-invalid'));
    }
  });
});
