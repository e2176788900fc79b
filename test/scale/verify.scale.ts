// How fast receipts that share a checkpoint are verified offline, beside what hashing alone would take.

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256Into } from '#sha256';
import { type VerifyInput, verifyReceipts } from '../../src/verify/verify.ts';
import { anchorAmong } from '../support/blocks.ts';
import { LargeLog } from '../support/large-log.ts';
import { EPOCH } from '../support/receipts.ts';

const ENTRIES = Number(process.env.VERIFY_ENTRIES ?? 1_000_000);
const RECEIPTS = Number(process.env.VERIFY_RECEIPTS ?? 20_000);
const REQUIRED = 5_000;

/** Seconds of this process on the processor; what else the machine does is not counted. */
async function processorTime(work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Receipts a second if nothing but their hashes had to be made: content, commitment, leaf, and the nodes of the path. */
async function hashLimit(hashes: number): Promise<number> {
  const input = new Uint8Array(randomBytes(65));
  const out = Buffer.alloc(32);
  const count = 1_000_000;
  for (let i = 0; i < 100_000; i++) sha256Into(input, out, 0);
  const seconds = await processorTime(() => {
    for (let i = 0; i < count; i++) sha256Into(input, out, 0);
  });
  return count / seconds / hashes;
}

test(`receipts out of a log of ${ENTRIES.toLocaleString('en')} entries`, async () => {
  const log = new LargeLog(ENTRIES);
  const { root, round } = log.round();
  const time = EPOCH + Math.ceil(ENTRIES / 1_000) * 1_000 + 12_000;
  const anchors = [anchorAmong(root, 200, 99, { time })];
  const trust = { key: log.verifierKey, blockHashes: anchors.map(({ block }) => block.hash) };
  // Spread over the log, in no order: next to nothing of two paths is shared but what lies high up.
  const indices = Array.from({ length: RECEIPTS }, (_, i) => (i * 611_953) % ENTRIES);
  const files = indices.map((index) => JSON.stringify({ ...log.receipt(index), round, anchors }));
  function* inputs(from: readonly string[]): Generator<VerifyInput> {
    for (const [i, text] of from.entries()) yield { receipt: JSON.parse(text), payload: log.payload(indices[i] ?? 0) };
  }
  const verifyAll = async (from: readonly string[]): Promise<void> => {
    let proven = 0;
    for await (const answer of verifyReceipts(inputs(from), trust)) {
      if ('verdict' in answer && answer.verdict.result === 'proven') proven++;
    }
    expect(proven).toBe(from.length);
  };
  await verifyAll(files.slice(0, 2_000));
  const seconds = await processorTime(() => verifyAll(files));
  const rate = RECEIPTS / seconds;
  const hashes = 3 + Math.ceil(Math.log2(ENTRIES));
  const limit = await hashLimit(hashes);
  const text = (value: number): string => Math.round(value).toLocaleString('en');
  console.log(
    [
      'verification, offline, one core',
      `  log, receipts                   ${text(ENTRIES)} entries, ${text(RECEIPTS)} receipts of ${text(files[0]?.length ?? 0)} bytes with key, round and block proof`,
      `  from JSON text to verdict       ${text(rate)} receipts/s`,
      `  SHA-256 alone, ${hashes} a receipt    ${text(limit)} receipts/s in this run: ${(limit / rate).toFixed(1)} times as fast`,
      `  largest resident set            ${text(process.resourceUsage().maxRSS / 1_024)} MB, the log itself included`,
    ].join('\n'),
  );
  expect(rate).toBeGreaterThan(REQUIRED);
});
