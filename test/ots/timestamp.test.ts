// What timestamps are made of, and what can be done with them.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { MAX_STEPS, type Step, walkPath } from '../../src/core/path.ts';
import { describeOtsFile, describeTimestamp } from '../../src/ots/description.ts';
import { parseOtsFile } from '../../src/ots/file.ts';
import { type Line, pathOps, shortestProof, timestampAlong, timestampLines, timestampOf } from '../../src/ots/line.ts';
import { applyOp, type OpKind } from '../../src/ots/operation.ts';
import { parseTimestamp, serializeTimestamp } from '../../src/ots/serialization.ts';
import { mergeTimestamps, type Timestamp, TimestampBuilder } from '../../src/ots/timestamp.ts';
import { timestamps } from './arbitrary.ts';
import { example } from './examples.ts';

const message = fromHex('00ff');
const ofMessage = timestamps(fc.constant(message));
const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });
const written = (timestamp: Timestamp): string => toHex(serializeTimestamp(timestamp));

describe('operations', () => {
  test.each<[Exclude<OpKind, 'append' | 'prepend'>, string, string]>([
    ['sha1', 'abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    ['ripemd160', 'abc', '8eb208f7e05d987a9b044a8e98c6b087f15a0bfc'],
    ['sha256', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['keccak256', 'abc', '4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45'],
    ['keccak256', '', 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'],
    ['reverse', 'abc', toHex(utf8('cba'))],
    ['hexlify', 'k~', toHex(utf8('6b7e'))],
  ])('%s of "%s"', (kind, input, output) => {
    expect(toHex(applyOp({ kind }, utf8(input)))).toBe(output);
  });

  test('append and prepend', () => {
    expect(toHex(applyOp({ kind: 'append', argument: fromHex('01') }, message))).toBe('00ff01');
    expect(toHex(applyOp({ kind: 'prepend', argument: fromHex('01') }, message))).toBe('0100ff');
    expect(() => applyOp({ kind: 'append', argument: new Uint8Array(0) }, message)).toThrow(
      code('ots-argument-length'),
    );
  });
});

describe('merging', () => {
  test('what both have is there once, in whatever order they come', () =>
    fc.assert(
      fc.property(ofMessage, ofMessage, ofMessage, (a, b, c) => {
        const merged = written(mergeTimestamps(a, b, c));
        expect(written(mergeTimestamps(c, a, b))).toBe(merged);
        expect(written(mergeTimestamps(mergeTimestamps(b, c), a, b))).toBe(merged);
        const all = [a, b, c].flatMap((each) => [...timestampLines(each)]);
        expect(merged).toBe(written(timestampOf(message, all.toReversed())));
        expect(written(parseTimestamp(fromHex(merged), message))).toBe(merged);
      }),
      { numRuns: 300 },
    ));

  test('timestamps of different messages are refused', () => {
    const [a] = fc.sample(ofMessage, { numRuns: 1, seed: 1 });
    const [b] = fc.sample(timestamps(fc.constant(fromHex('00fe'))), { numRuns: 1, seed: 1 });
    if (a === undefined || b === undefined) throw new Error('no sample');
    expect(() => mergeTimestamps(a, b)).toThrow(code('ots-message-differs'));
  });

  test('an upgrade completes a pending timestamp and keeps the others', () => {
    const whole = parseOtsFile(example('sha1/a_or_b.ots')).timestamp;
    const pending = timestampOf(
      whole.message,
      [...timestampLines(whole)].filter(({ attestation }) => attestation.kind === 'pending'),
    );
    const upgrade = [...timestampLines(whole)].filter(({ attestation }) => attestation.kind === 'bitcoin');
    expect(upgrade).toHaveLength(1);
    expect(written(pending)).not.toBe(written(whole));
    expect(written(mergeTimestamps(pending, timestampOf(whole.message, upgrade)))).toBe(written(whole));
  });
});

describe('growing', () => {
  test('a line without an attestation cannot be finished', () => {
    const builder = new TimestampBuilder(message);
    builder.apply({ kind: 'sha256' });
    expect(() => builder.finish()).toThrow(code('ots-empty'));
  });

  test('no line is longer than 255 operations, merged ones neither', () => {
    const ops = Array.from({ length: 255 }, () => ({ kind: 'sha256' as const }));
    const longest = timestampOf(message, [{ ops, attestation: { kind: 'bitcoin', height: 1 } }]);
    const before = new TimestampBuilder(fromHex('ff00')).apply({ kind: 'reverse' });
    expect(() => before.add(longest)).toThrow(code('ots-depth'));
    expect(() =>
      timestampOf(message, [{ ops: [...ops, ...ops], attestation: { kind: 'bitcoin', height: 1 } }]),
    ).toThrow(code('ots-depth'));
  });

  test('no attestation that could not be read again', () => {
    const builder = new TimestampBuilder(message);
    expect(() => builder.attest({ kind: 'pending', uri: 'https://a/?b' })).toThrow(code('ots-uri'));
    expect(() => builder.attest({ kind: 'bitcoin', height: -1 })).toThrow(code('ots-height'));
    expect(() => builder.attest({ kind: 'unknown', tag: new Uint8Array(7), payload: message })).toThrow(
      code('ots-attestation'),
    );
  });
});

describe('the shortest proof', () => {
  const inBlock = ({ attestation }: Line): boolean => attestation.kind === 'bitcoin';

  test('is one line, no other that is confirmed has fewer bytes, and none is left where none is confirmed', () =>
    fc.assert(
      fc.property(ofMessage, (timestamp) => {
        const confirmed = [...timestampLines(timestamp)].filter(inBlock);
        const shortest = shortestProof(timestamp, inBlock);
        if (shortest === null) {
          expect(confirmed).toEqual([]);
          return;
        }
        const [line, ...more] = [...timestampLines(shortest)];
        expect(more).toEqual([]);
        expect(confirmed).toContainEqual(line);
        const sizes = confirmed.map((each) => written(timestampOf(message, [each])).length);
        expect(written(shortest).length).toBe(Math.min(...sizes));
      }),
      { numRuns: 300 },
    ));

  test('of two equally long ones the earlier block', () => {
    const line = (argument: string, height: number) => ({
      ops: [{ kind: 'append' as const, argument: fromHex(argument) }],
      attestation: { kind: 'bitcoin' as const, height },
    });
    const timestamp = timestampOf(message, [line('00', 700_001), line('01', 700_000), line('02', 700_002)]);
    const shortest = shortestProof(timestamp, inBlock);
    expect(shortest && [...timestampLines(shortest)]).toMatchObject([{ attestation: { height: 700_000 } }]);
    expect(shortestProof(timestamp, () => false)).toBeNull();
  });

  test('of a real file: the way to Bitcoin alone', () => {
    const { timestamp } = parseOtsFile(example('sha1/a_or_b.ots'));
    const shortest = shortestProof(timestamp, inBlock);
    expect(shortest && describeTimestamp(shortest)).toMatch(
      /\nBitcoin block 466906, merkle root 40c9303a5cb0a8c4b2676f4c6b101d37f83e9413f3856f356849bfb9438a7c26$/,
    );
    expect(shortest && describeTimestamp(shortest)).not.toContain('pending');
  });
});

describe('our paths', () => {
  const part = fc.uint8Array({ maxLength: 20 });
  const paths = fc.array(fc.record({ prefix: part, suffix: part }), { maxLength: 80 });
  const end = (steps: readonly Step[]): Timestamp =>
    new TimestampBuilder(walkPath(message, steps)).attest({ kind: 'pending', uri: 'http://127.0.0.1:1' }).finish();

  test('lead to the same place, by prepend, append and sha256 alone', () =>
    fc.assert(
      fc.property(paths, (steps) => {
        const timestamp = timestampAlong(message, steps, end(steps));
        const [line] = [...timestampLines(timestamp)];
        expect(toHex(line?.message ?? new Uint8Array(0))).toBe(toHex(walkPath(message, steps)));
        for (const { kind } of line?.ops ?? []) expect(['prepend', 'append', 'sha256']).toContain(kind);
      }),
      { numRuns: 200 },
    ));

  test('the longest of them may be too long for an .ots file', () => {
    const step = { prefix: message, suffix: message };
    const steps = Array.from({ length: MAX_STEPS }, () => step);
    expect(pathOps(steps)).toHaveLength(3 * MAX_STEPS);
    expect(() => timestampAlong(message, steps, end(steps))).toThrow(code('ots-depth'));
    expect(() => timestampAlong(message, [step])).toThrow(code('ots-empty'));
    expect(() => timestampAlong(message, [step], end([]))).toThrow(code('ots-message-differs'));
  });
});

test('the description: a line for each operation and attestation, branches below arrows', () => {
  expect(describeOtsFile(parseOtsFile(example('known-and-unknown-notary.txt.ots')))).toBe(
    `\
sha256 digest of the file: d288b2ee212b01e3e5f6d333df3a4d53f292cc3f07b09013c0b40c8e7dcb9c03
append 46d842bd5d8377e0f42041bec9bda667
sha256
 -> append 332c572f9c4b8d5db9d99758d48fff34
    sha256
    prepend 57e89f38
    append 73c6dc4d0cbc29f0
    pending: ask https://bob.btc.calendar.opentimestamps.org for \
57e89f38173f127e0e8832929232858ca0b7241229d535b22073144a1a433b5aaa5d6cf473c6dc4d0cbc29f0
 -> append e7ad29076f188033d20767602ca3a8e0
    sha256
    prepend 57e89f37
    append 62df56371ae23d8d
    unknown attestation 0102030405060708, 46 bytes: ${'78'.repeat(46)}`,
  );
  fc.assert(
    fc.property(ofMessage, (timestamp) => {
      const attested = [...timestampLines(timestamp)].length;
      const lines = describeTimestamp(timestamp).split('\n');
      expect(lines.filter((line) => /^ *(pending|unknown|Bitcoin|Litecoin|Ethereum)/.test(line))).toHaveLength(
        attested,
      );
      for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]+$/);
    }),
  );
});

test('a timestamp may be as much work as there is, and no more: an operation each, and the bytes of each message', () => {
  const message = new Uint8Array(32);
  const build = (operations: number, bytes: number): unknown =>
    new TimestampBuilder(message, { operations, bytes })
      .apply({ kind: 'sha256' })
      .attest({ kind: 'bitcoin', height: 1 })
      .finish();
  expect(() => build(3, 64)).not.toThrow();
  for (const [operations, bytes] of [
    [2, 64],
    [3, 63],
  ] as const) {
    expect(() => build(operations, bytes)).toThrow(expect.objectContaining({ code: 'ots-work' }));
  }
});
