import { expect, test } from 'vitest';
import { packProof, unpackProof } from '../../src/evm/packed-proof.ts';
import { outcomeOf, sealBlock, transactionOf } from '../support/blocks.ts';
import { seeded } from '../support/receipts.ts';

const INDEX = 131;
const rootAt = (index: number): Uint8Array => seeded(`root ${index}`);
const range = Array.from({ length: 200 }, (_, index) => index);
const block = sealBlock(
  range.map((index) => transactionOf(rootAt(index))),
  range.map((index) => outcomeOf(rootAt(index))),
);
const raw = transactionOf(rootAt(INDEX));
const whole = {
  header: block.header,
  transaction: block.transactions.prove(INDEX),
  receipt: block.receipts.prove(INDEX),
};
/** Beside others in its block: the block's row has the rest. */
const own = { header: new Uint8Array(0), transaction: whole.transaction.slice(-1), receipt: whole.receipt.slice(-1) };

const lengthOf = ({ header, transaction, receipt }: typeof whole): number =>
  [header, ...transaction, ...receipt].reduce((sum, { length }) => sum + length, 0);

test.each([
  ['a whole proof', whole],
  ['what of a proof its block does not have', own],
])('%s is read as it was packed', (_what, parts) => {
  const packed = packProof(parts, raw);
  expect(unpackProof(packed, raw)).toEqual(parts);
  expect(packed.length).toBeLessThan(lengthOf(parts) - raw.length);
  expect(unpackProof(packed, transactionOf(rootAt(0)))).toBeNull();
  for (const damaged of [
    packed.subarray(0, -1),
    packed.subarray(1),
    Buffer.of(),
    Buffer.of(2, ...packed.subarray(1)),
  ]) {
    expect(unpackProof(damaged, raw)).toBeNull();
  }
});

test('the leaves of an anchor take little more than what the signed transaction does not say', () => {
  expect(packProof(own, raw).length).toBeLessThan(120);
});

test('what a release stored is read by all later ones', () => {
  const packed =
    '0128b52ffd643101450200e402f9022e80f894b892f89020b88d0194b90191f9018e20b9018a02f901860182b3b0b901f87df87bf863a0a0aba0800700dd0b175c722fc7fc08ee3cd797f9810bd52c3a94f90217d9db3e';
  expect(unpackProof(Buffer.from(packed, 'hex'), raw)).toEqual(own);
});
