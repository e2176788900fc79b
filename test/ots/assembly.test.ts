import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import type { StoredAnswer } from '../../src/ots/answers.ts';
import { assemble, connect, type Judgement, MAX_ASSEMBLED } from '../../src/ots/assembly.ts';
import type { Attestation } from '../../src/ots/attestation.ts';
import { timestampLines, timestampOf } from '../../src/ots/line.ts';
import type { Op } from '../../src/ots/operation.ts';
import { parseTimestamp, serializeTimestamp } from '../../src/ots/serialization.ts';

const ROOT = sha256(utf8('the root of a round'));
const SHA256: Op = { kind: 'sha256' };
const live = (): Judgement => 'live';

function answer(
  calendar: string,
  message: Uint8Array,
  lines: readonly { readonly ops: readonly Op[]; readonly attestation: Attestation }[],
): StoredAnswer & { ends: Uint8Array[] } {
  const timestamp = timestampOf(message, lines);
  return {
    calendar,
    message,
    bytes: serializeTimestamp(timestamp),
    ends: [...timestampLines(timestamp)].map((line) => line.message),
  };
}

const append = (text: string): Op => ({ kind: 'append', argument: utf8(text) });
const promise = (uri: string): Attestation => ({ kind: 'pending', uri });
const bitcoin = (height: number): Attestation => ({ kind: 'bitcoin', height });

const first = answer('http://a', ROOT, [{ ops: [append('a'), SHA256], attestation: promise('http://b/') }]);
const second = answer('http://b', first.ends[0] ?? ROOT, [
  { ops: [append('b'), SHA256], attestation: promise('http://c') },
  { ops: [append('d'), SHA256], attestation: promise('http://d') },
]);
const third = answer('http://c', second.ends[0] ?? ROOT, [{ ops: [append('c'), SHA256], attestation: bitcoin(7) }]);

const kinds = (answers: readonly StoredAnswer[], judge: () => Judgement): string[] =>
  [...timestampLines(parseTimestamp(assemble(ROOT, answers, judge)?.bytes ?? new Uint8Array(), ROOT))].map(
    ({ attestation }) => (attestation.kind === 'pending' ? attestation.uri : attestation.kind),
  );

describe('answers that lead on from each other', () => {
  test('are one timestamp, in whatever order they came', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([first, second, third], { minLength: 3 }), (answers) => {
        expect(kinds(answers, live).sort()).toEqual(['bitcoin', 'http://d']);
        expect(connect(ROOT, answers, live).strays).toBe(0);
      }),
    );
  });

  test('keep the promise that is not kept, and again that of a block that is gone', () => {
    expect(kinds([first], live)).toEqual(['http://b/']);
    expect(kinds([first, second], live)).toEqual(['http://c', 'http://d']);
    expect(kinds([first, second, third], () => 'contradicted')).toEqual(['http://c', 'http://d']);
  });

  test('are told from those that lead on from nothing', () => {
    expect(assemble(ROOT, [second, third], live)).toBeNull();
    expect(connect(ROOT, [second, third], live).strays).toBe(2);
    expect(connect(ROOT, [first, { ...second, bytes: second.bytes.slice(1) }], live).strays).toBe(1);
  });
});

describe('too much of it', () => {
  const junk = (seed: number): StoredAnswer =>
    answer(
      `http://junk${seed}`,
      ROOT,
      Array.from({ length: 20 }, (_, i) => ({
        ops: [append(`${seed} ${i}`)],
        attestation: { kind: 'unknown' as const, tag: new Uint8Array(8).fill(1), payload: new Uint8Array(400) },
      })),
    );
  const confirmed = answer('http://z', ROOT, [{ ops: [append('z'.repeat(4_000)), SHA256], attestation: bitcoin(9) }]);

  test('is cut to what a receipt has room for, and what is confirmed stays', () => {
    const answers = [...Array.from({ length: 16 }, (_, i) => junk(i)), confirmed, first];
    const assembly = assemble(ROOT, answers, () => 'confirmed');
    expect(assembly?.bytes.length).toBeLessThanOrEqual(MAX_ASSEMBLED);
    expect(assembly?.bytes.length).toBeGreaterThan(MAX_ASSEMBLED / 2);
    expect(assembly?.lines.slice(0, 2).map(({ attestation }) => attestation.kind)).toEqual(['bitcoin', 'pending']);
    expect(parseTimestamp(assembly?.bytes ?? new Uint8Array(), ROOT)).toEqual(assembly?.timestamp);
  });

  test('is cut where it asks for too much work, or goes too deep', () => {
    const grown = Array.from({ length: 200 }, (_, i) => append(String.fromCharCode(97 + (i % 26))));
    const deep = answer('http://a', ROOT, [{ ops: grown, attestation: promise('http://b') }]);
    const further = Array.from({ length: 56 }, (): Op => SHA256);
    const deeper = answer('http://b', deep.ends[0] ?? ROOT, [{ ops: further, attestation: bitcoin(1) }]);
    expect(kinds([deep, deeper, first], live)).toEqual(['http://b/']);
    expect(connect(ROOT, [deep, deeper], live).strays).toBe(0);
    const work = Array.from({ length: 20 }, (_, n) =>
      answer(
        `http://w${n}`,
        ROOT,
        Array.from({ length: 2 }, (_, i) => ({
          ops: [append('x'.repeat(3_000 + n)), ...Array.from({ length: 120 + i }, (): Op => ({ kind: 'reverse' }))],
          attestation: promise(`http://w${n}/${i}`),
        })),
      ),
    );
    expect(kinds([...work, confirmed], () => 'confirmed')).toContain('bitcoin');
  });
});
