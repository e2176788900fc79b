// The codec against the reference implementation in Python.

import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { OtsError } from '../../src/ots/error.ts';
import { type OtsFile, parseOtsFile, serializeOtsFile } from '../../src/ots/file.ts';
import type { Op } from '../../src/ots/operation.ts';
import { TimestampBuilder } from '../../src/ots/timestamp.ts';
import { files } from './arbitrary.ts';
import { example, exampleNames } from './examples.ts';
import { meaningOf } from './meaning.ts';
import { mutated } from './mutation.ts';
import { Reference, referenceMissing } from './reference.ts';

/** Ours alone: Python takes numbers of any size in any spelling, and files of any size. */
const STRICTER = ['ots-varuint', 'ots-size', 'ots-work'];

let reference: Reference;

beforeAll(() => {
  if (referenceMissing === null) reference = new Reference();
});
beforeEach((context) => {
  if (referenceMissing !== null) context.skip(referenceMissing);
});
afterAll(() => reference?.[Symbol.dispose]());

describe('1,000 files that the reference makes at random', () => {
  let made: Uint8Array[];
  beforeAll(async () => {
    if (referenceMissing === null) made = await reference.generate(1_000, 20_160_914);
  });

  test('have forks, all operations, all kinds of attestations, and 255 operations one after the other', () => {
    const seen = new Set<string>();
    const look = (file: OtsFile): void => {
      seen.add(`hash ${file.hash}`);
      const open = [{ at: file.timestamp, level: 0 }];
      for (let top = open.pop(); top !== undefined; top = open.pop()) {
        for (const { kind } of top.at.attestations) seen.add(`attestation ${kind}`);
        if (top.at.branches.length > 1) seen.add('fork');
        if (top.level === 255) seen.add('255 levels');
        for (const { op, next } of top.at.branches) {
          seen.add(op.kind);
          open.push({ at: next, level: top.level + 1 });
        }
      }
    };
    for (const file of made) look(parseOtsFile(file));
    const hashes = ['sha1', 'ripemd160', 'sha256', 'keccak256'];
    const ops = [...hashes, 'append', 'prepend', 'reverse', 'hexlify'];
    const attested = ['pending', 'bitcoin', 'litecoin', 'ethereum', 'unknown'].map((kind) => `attestation ${kind}`);
    expect([...seen].sort()).toEqual(
      [...ops, ...hashes.map((kind) => `hash ${kind}`), ...attested, 'fork', '255 levels'].sort(),
    );
  });

  test('parse and serialize to the same bytes', () => {
    const same = made.filter((file) => toHex(serializeOtsFile(parseOtsFile(file))) === toHex(file));
    console.log(`${same.length} of ${made.length} files of the reference come back byte for byte`);
    expect(same).toHaveLength(1_000);
  });

  test('say the same to both', async () => {
    const readings = await reference.read(made);
    for (const [i, file] of made.entries()) expect(meaningOf(parseOtsFile(file))).toEqual(readings[i]?.meaning);
  });

  test('mutated they are taken by both or by neither', async () => {
    const small = made.filter((file) => file.length < 1_500);
    const changed = Array.from({ length: 4_000 }, (_, i) => mutated(small[i % small.length] ?? new Uint8Array(0), i));
    const readings = await reference.read(changed);
    const count = { taken: 0, refused: 0, stricter: 0 };
    for (const [i, file] of changed.entries()) {
      const reading = readings[i];
      const ours = parsed(file);
      if (ours instanceof OtsError) {
        if (STRICTER.includes(ours.code)) count.stricter++;
        else expect(reading?.error, `${ours.code}: ${toHex(file)}`).toBeDefined();
        if (!STRICTER.includes(ours.code)) count.refused++;
        continue;
      }
      count.taken++;
      expect(reading?.error, toHex(file)).toBeUndefined();
      const written = toHex(serializeOtsFile(ours));
      // Of an operation that is there twice Python keeps the last alone, and with it not all attestations.
      if (written.length === 2 * file.length) expect(written).toBe(reading?.bytes);
    }
    console.log(`mutated: ${JSON.stringify(count)}`);
    expect(count.taken).toBeGreaterThan(200);
    expect(count.refused).toBeGreaterThan(200);
    expect(count.stricter).toBeLessThan(200);
  });
});

test('1,000 of ours are read and written by the reference likewise', async () => {
  const ours = fc.sample(files, { numRuns: 1_000, seed: 7 });
  const readings = await reference.read(ours.map(serializeOtsFile));
  for (const [i, file] of ours.entries()) {
    expect(readings[i]).toEqual({ bytes: toHex(serializeOtsFile(file)), meaning: meaningOf(file) });
  }
  console.log(`${ours.length} of ours are read by the reference`);
});

test('files of the real world say the same to both', async () => {
  expect(exampleNames.length).toBeGreaterThan(10);
  const readings = await reference.read(exampleNames.map(example));
  for (const [i, name] of exampleNames.entries()) {
    const file = parseOtsFile(example(name));
    expect({ bytes: toHex(serializeOtsFile(file)), meaning: meaningOf(file) }, name).toEqual(readings[i]);
  }
});

test('both end at 256 levels', async () => {
  const chain = (length: number): Uint8Array => {
    const builder = new TimestampBuilder(new Uint8Array(32));
    builder.follow(Array<Op>(255).fill({ kind: 'sha256' })).attest({ kind: 'bitcoin', height: 1 });
    const whole = serializeOtsFile({ hash: 'sha256', timestamp: builder.finish() });
    const tree = whole.length - 255 - 11;
    const more = new Uint8Array(length - 255).fill(0x08);
    return new Uint8Array([...whole.subarray(0, tree), ...more, ...whole.subarray(tree)]);
  };
  const [longest, tooLong] = [chain(255), chain(256)];
  expect(meaningOf(parseOtsFile(longest)).attestations).toHaveLength(1);
  expect(() => parseOtsFile(tooLong)).toThrow(expect.objectContaining({ code: 'ots-depth' }));
  const readings = await reference.read([longest, tooLong]);
  expect(readings[0]?.bytes).toBe(toHex(longest));
  expect(readings[1]?.error).toBe('RecursionLimitError');
});

function parsed(bytes: Uint8Array): OtsFile | OtsError {
  try {
    return parseOtsFile(bytes);
  } catch (error) {
    if (error instanceof OtsError) return error;
    throw error;
  }
}
