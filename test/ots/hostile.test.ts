// Files that are no proof, or no longer the same one: a coded error that says where, or another meaning; never less.

import { describe, expect, test } from 'vitest';
import { concat, fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { FormatError } from '../../src/core/errors.ts';
import { parseOtsFile, serializeOtsFile } from '../../src/ots/file.ts';
import { MAX_TIMESTAMP, parseTimestamp, serializeTimestamp } from '../../src/ots/serialization.ts';
import type { Timestamp } from '../../src/ots/timestamp.ts';
import { example } from './examples.ts';
import { meaningOf } from './meaning.ts';
import { BLOCK, bytes, DIGEST, file, HEADER, PENDING_TAG, refusal, refused, TREE } from './refusal.ts';
import { real, varied } from './samples.ts';

test('cut short at any byte: truncated, at the end', () => {
  for (const whole of [...real, ...varied]) {
    expect(refusal(whole)).toBeNull();
    for (let length = 0; length < whole.length; length++) {
      if (refused(whole.subarray(0, length)) === `ots-truncated at ${length}`) continue;
      expect.fail(`cut at ${length}: ${refused(whole.subarray(0, length))}`);
    }
  }
});

test('bytes after the end: trailing, where they begin', () => {
  for (const whole of [...real, ...varied]) {
    for (const more of [bytes(0), bytes(0xff), whole]) {
      expect(refused(concat(whole, more))).toBe(`ots-trailing at ${whole.length}`);
    }
  }
});

describe('one byte changed at any place: an error, or another meaning', () => {
  const check = (whole: Uint8Array, values: (byte: number) => readonly number[]): Record<string, number> => {
    const original = JSON.stringify(meaningOf(parseOtsFile(whole)));
    const counts: Record<string, number> = {};
    let same = 0;
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      for (const value of values(whole[at] ?? 0)) {
        changed[at] = value;
        let meaning = '';
        const error = refusal(changed, (input) => {
          meaning = JSON.stringify(meaningOf(parseOtsFile(input)));
        });
        const outcome = error?.code ?? 'other meaning';
        counts[outcome] = (counts[outcome] ?? 0) + 1;
        if (at < HEADER.length) expect(error).toMatchObject({ code: 'ots-magic', offset: at });
        if (error !== null || meaning !== original) continue;
        // A message joined with itself, as Bitcoin does at the end of an odd row: before or after, it is the same bytes.
        expect([whole[at], value].sort()).toEqual([0xf0, 0xf1]);
        same++;
      }
    }
    expect(same).toBe(joinedWithThemselves(parseOtsFile(whole).timestamp));
    return counts;
  };
  const joinedWithThemselves = (timestamp: Timestamp): number => {
    const inBranches = timestamp.branches.map(({ op, next }) => {
      const itself = 'argument' in op && toHex(op.argument) === toHex(timestamp.message);
      return joinedWithThemselves(next) + (itself ? 1 : 0);
    });
    return inBranches.reduce((sum, count) => sum + count, 0);
  };

  test('to every value', () => {
    const all = (byte: number): number[] => Array.from({ length: 256 }, (_, value) => value).filter((v) => v !== byte);
    const counts = check(example('unknown-notary.txt.ots'), all);
    console.log(`one byte changed to every value: ${JSON.stringify(counts)}`);
    expect(counts['other meaning']).toBeGreaterThan(1_000);
    for (const code of ['ots-magic', 'ots-version', 'ots-hash', 'ots-op', 'ots-length', 'ots-truncated']) {
      expect(counts[code], code).toBeGreaterThan(0);
    }
  });

  test('by one bit, and to what begins operations and siblings', () => {
    const telling = [0x00, 0x08, 0xff];
    const values = (byte: number): number[] => [byte ^ 1, byte ^ 0x80, ...telling.filter((value) => value !== byte)];
    for (const whole of [...real, ...varied.slice(0, 12)]) check(whole, values);
  });
});

describe('what is wrong, and at which byte', () => {
  const chain = (...ops: number[]): Uint8Array => file(bytes(...ops), BLOCK);
  const append = (length: number): Uint8Array =>
    concat(
      bytes(0xf0),
      length < 128 ? bytes(length) : bytes(128 + (length % 128), length >> 7),
      new Uint8Array(length),
    );
  const attestation = (tag: Uint8Array, payload: Uint8Array): Uint8Array => {
    const { length } = payload;
    const size = length < 128 ? bytes(length) : bytes(128 + (length % 128), length >> 7);
    return concat(bytes(0), tag, size, payload);
  };
  const pending = (uri: string): Uint8Array => {
    const { length } = uri;
    const size = length < 128 ? bytes(length) : bytes(128 + (length % 128), length >> 7);
    return attestation(PENDING_TAG, concat(size, utf8(uri)));
  };
  const bitcoin = (...height: number[]): Uint8Array => attestation(BLOCK.subarray(1, 9), bytes(...height));
  const unknown = fromHex('0102030405060708');

  test.each<[string, Uint8Array, string]>([
    ['nothing', bytes(), 'ots-truncated at 0'],
    ['another file', utf8('%PDF-1.7'), 'ots-magic at 0'],
    ['version 0', concat(HEADER, bytes(0, 8), DIGEST, BLOCK), `ots-version at ${HEADER.length}`],
    ['version 2', concat(HEADER, bytes(2, 8), DIGEST, BLOCK), `ots-version at ${HEADER.length}`],
    ['version 1 written long', concat(HEADER, bytes(0x81, 0, 8), DIGEST, BLOCK), `ots-varuint at ${HEADER.length}`],
    ['digest by append', concat(HEADER, bytes(1, 0xf0), DIGEST, BLOCK), `ots-hash at ${HEADER.length + 1}`],
    ['digest by reverse', concat(HEADER, bytes(1, 0xf2), DIGEST, BLOCK), `ots-hash at ${HEADER.length + 1}`],
    ['digest by MD5', concat(HEADER, bytes(1, 0x01), DIGEST, BLOCK), `ots-hash at ${HEADER.length + 1}`],
    ['no tree', file(), `ots-truncated at ${TREE}`],
    ['no such operation', chain(0x08, 0x55), `ots-op at ${TREE + 1}`],
    ['a sibling of nothing', chain(0xff, 0xff), `ots-op at ${TREE + 1}`],
    ['a last sibling missing', file(bytes(0xff), BLOCK), `ots-truncated at ${TREE + 12}`],
    ['255 operations', chain(...Array<number>(255).fill(0x08)), 'taken'],
    ['256 operations', chain(...Array<number>(256).fill(0x08)), `ots-depth at ${TREE + 255}`],
    ['257 operations', chain(...Array<number>(257).fill(0x08)), `ots-depth at ${TREE + 255}`],
    ['4096 bytes', file(append(4064), BLOCK), 'taken'],
    ['4097 bytes', file(append(4065), BLOCK), `ots-message-length at ${TREE}`],
    ['4097 bytes, of two', file(append(4000), append(65), BLOCK), `ots-message-length at ${TREE + 4003}`],
    ['hexlify to 4096', file(append(2016), bytes(0xf3), BLOCK), 'taken'],
    ['hexlify to 4098', file(append(2017), bytes(0xf3), BLOCK), `ots-message-length at ${TREE + 2020}`],
    ['nothing appended', file(append(0), BLOCK), `ots-length at ${TREE + 1}`],
    ['4097 appended', file(append(4097), BLOCK), `ots-length at ${TREE + 1}`],
    ['2^53 appended', file(bytes(0xf0, 128, 128, 128, 128, 128, 128, 128, 16), BLOCK), `ots-varuint at ${TREE + 1}`],
    ['a length without end', file(bytes(0xf0, ...Array<number>(5_000).fill(0x80))), `ots-varuint at ${TREE + 1}`],
    ['a length written long', file(bytes(0xf0, 0x81, 0x00, 0x07), BLOCK), `ots-varuint at ${TREE + 1}`],
    ['URI of 1000', file(pending('a'.repeat(1000))), 'taken'],
    ['URI of 1001', file(pending('a'.repeat(1001))), `ots-length at ${TREE + 11}`],
    ['URI with a query', file(pending('http://a?b')), `ots-uri at ${TREE + 10}`],
    ['URI with a login', file(pending('http://u@a')), `ots-uri at ${TREE + 10}`],
    ['URI with a line break', file(pending('http://a\n')), `ots-uri at ${TREE + 10}`],
    ['bytes after a URI', file(attestation(PENDING_TAG, bytes(1, 0x61, 0x61))), `ots-trailing at ${TREE + 12}`],
    ['URI cut short', file(attestation(PENDING_TAG, bytes(2, 0x61))), `ots-truncated at ${TREE + 12}`],
    ['payload of 8192', file(attestation(unknown, new Uint8Array(8192))), 'taken'],
    ['payload of 8193', file(attestation(unknown, new Uint8Array(8193))), `ots-length at ${TREE + 9}`],
    ['height 2^53 - 1', file(bitcoin(255, 255, 255, 255, 255, 255, 255, 15)), 'taken'],
    ['height 2^53', file(bitcoin(128, 128, 128, 128, 128, 128, 128, 16)), `ots-varuint at ${TREE + 10}`],
    ['height written long', file(bitcoin(0x85, 0x00)), `ots-varuint at ${TREE + 10}`],
    ['bytes after a height', file(bitcoin(5, 0)), `ots-trailing at ${TREE + 11}`],
    ['no height', file(bitcoin()), `ots-truncated at ${TREE + 10}`],
    ['more than 256 KiB', new Uint8Array(MAX_TIMESTAMP + 1), `ots-size at ${MAX_TIMESTAMP}`],
  ])('%s', (_, input, outcome) => {
    expect(refused(input)).toBe(outcome);
  });

  test('of a message of 4097 bytes there is no timestamp; the empty one cannot be turned or written as hex', () => {
    const of = (length: number, ...tree: Uint8Array[]): string | undefined =>
      refusal(concat(...tree), (input) => parseTimestamp(input, new Uint8Array(length)))?.code;
    expect(of(4096, BLOCK)).toBeUndefined();
    expect(of(4097, BLOCK)).toBe('ots-message-length');
    expect(of(0, bytes(0x08), BLOCK)).toBeUndefined();
    expect(of(0, bytes(0xf2), BLOCK)).toBe('ots-message-empty');
    expect(of(0, bytes(0xf3), BLOCK)).toBe('ots-message-empty');
  });

  test('siblings in another order, or twice, are the same timestamp', () => {
    const twice = file(bytes(0xff, 0x08), BLOCK, bytes(0xff, 0x02), BLOCK, bytes(0xff, 0x08), bitcoin(6), BLOCK);
    const once = serializeOtsFile(parseOtsFile(twice));
    const sorted = [BLOCK, bytes(0xff, 0x02), BLOCK, bytes(0x08, 0xff), BLOCK, bitcoin(6)];
    expect(toHex(once)).toBe(toHex(file(bytes(0xff), ...sorted)));
  });
});

test('what was not read is not written either', () => {
  const { timestamp } = parseOtsFile(file(BLOCK));
  const fails = (timestampOfMine: typeof timestamp, code: string): void =>
    expect(() => serializeTimestamp(timestampOfMine)).toThrow(expect.objectContaining({ code }));
  fails({ ...timestamp, attestations: [{ kind: 'pending', uri: 'http://a?b' }] }, 'ots-uri');
  fails({ ...timestamp, attestations: [{ kind: 'bitcoin', height: 2 ** 53 }] }, 'ots-height');
  fails({ ...timestamp, attestations: [{ kind: 'unknown', tag: PENDING_TAG, payload: bytes() }] }, 'ots-attestation');
  expect(() => serializeOtsFile({ hash: 'sha1', timestamp })).toThrow(FormatError);
});
