import { expect, test } from 'vitest';
import { toBase64, toHex } from '../../src/core/bytes.ts';
import type { OpenTimestampsAnchor, RoundReceipt } from '../../src/core/receipt.ts';
import { receiptPath } from '../../src/core/receipt.ts';
import { parseOtsFile, serializeOtsFile } from '../../src/ots/file.ts';
import { timestampLines } from '../../src/ots/line.ts';
import type { Op } from '../../src/ots/operation.ts';
import { answersIn, otsOfReceipt } from '../../src/ots/receipt-file.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { TimestampBuilder } from '../../src/ots/timestamp.ts';
import { provenReceipt, seeded } from '../support/receipts.ts';

const OWN = 'https://log.example.org';
const { receipt, log } = provenReceipt();

/** A receipt of trees so high, with the longest paths they have. */
function high(levels: number, roundLevels: number): RoundReceipt {
  const path = (length: number): string[] => Array.from({ length }, (_, i) => toHex(seeded(`sibling ${i}`)));
  return {
    ...receipt,
    entry: { ...receipt.entry, index: 0 },
    inclusion: { treeSize: 2 ** levels, path: path(levels) },
    round: { ...receipt.round, size: 2 ** roundLevels, index: 1, path: path(roundLevels) },
  };
}

function answered(of: RoundReceipt, ...ways: Op[][]): RoundReceipt {
  const builder = new TimestampBuilder(receiptPath(of).root);
  for (const [height, way] of ways.entries()) builder.follow(way).attest({ kind: 'bitcoin', height });
  const timestamp = toBase64(serializeTimestamp(builder.finish()));
  const anchor: OpenTimestampsAnchor = { type: 'opentimestamps', status: 'pending', timestamp };
  return { ...of, anchors: [anchor] };
}

const hashes = (count: number, kind: 'sha256' | 'keccak256' = 'sha256'): Op[] =>
  Array.from({ length: count }, () => ({ kind }));
const heights = (of: RoundReceipt): number[] => {
  const written = serializeOtsFile(otsOfReceipt(of, null));
  return [...timestampLines(parseOtsFile(written).timestamp)].map(({ attestation, ops }) => {
    expect(ops.length).toBeLessThanOrEqual(255);
    return attestation.kind === 'bitcoin' ? attestation.height : -1;
  });
};

test('before the round has closed, and before anybody has answered, it is pending unless we are a calendar', () => {
  const code = 'receipt-pending';
  const early = log.receipt(5);
  for (const own of [null, OWN]) expect(() => otsOfReceipt(early, own)).toThrow(expect.objectContaining({ code }));
  expect(() => otsOfReceipt(receipt, null)).toThrow(expect.objectContaining({ code }));
  const [line, ...more] = timestampLines(otsOfReceipt(receipt, OWN).timestamp);
  expect([line?.attestation, more]).toEqual([{ kind: 'pending', uri: OWN }, []]);
});

test('trees of 2^40 entries and 2^20 logs leave room for what calendars answer', () => {
  const large = high(40, 20);
  expect(heights(answered(large, hashes(60)))).toEqual([0]);
  expect([...timestampLines(otsOfReceipt(high(52, 52), OWN).timestamp)][0]?.ops.length).toBeLessThan(200);
});

test('what no client could follow or read is left out; where nothing is left, there is no file', () => {
  const large = high(40, 20);
  const room = 255 - [...timestampLines(otsOfReceipt(answered(large, []), null).timestamp)][0]!.ops.length;
  expect(heights(answered(large, hashes(room)))).toEqual([0]);
  expect(heights(answered(large, hashes(room + 1), hashes(room)))).toEqual([1]);
  expect(heights(answered(large, hashes(1, 'keccak256'), hashes(2)))).toEqual([1]);
  for (const way of [hashes(room + 1), hashes(1, 'keccak256')]) {
    expect(() => otsOfReceipt(answered(large, way), OWN)).toThrow(
      expect.objectContaining({ code: 'timestamp-too-long' }),
    );
  }
});

test('a receipt before its round has no answers of calendars', () => {
  expect(answersIn(log.receipt(3))).toEqual([]);
});
