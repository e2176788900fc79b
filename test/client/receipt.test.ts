import { expect, it, test } from 'vitest';
import { isEvmAnchor, isOpenTimestampsAnchor, type Receipt } from '../../src/client/client.ts';
import { isReceipt } from '../../src/client/receipt.ts';
import { type Receipt as ParsedReceipt, parseReceipt } from '../../src/core/receipt.ts';
import { provenReceipt } from '../support/receipts.ts';

/** What the verifier reads as a receipt is one for applications: the compiler compares the two forms. */
const forApplications = (receipt: ParsedReceipt): Receipt => receipt;

const { receipt, anchor } = provenReceipt();
const timestamp = { type: 'opentimestamps', status: 'pending', timestamp: 'AAAA' } as const;
const blocks = [
  { chain: `bip122:${'0'.repeat(32)}`, height: 1, header: '00'.repeat(80), time: receipt.round.closedAt },
];
const confirmed = { ...timestamp, status: 'confirmed', blocks } as const;
const submitted = {
  type: 'evm',
  status: 'submitted',
  chain: 'eip155:1',
  contract: anchor.contract,
  transaction: anchor.transaction,
} as const;
const { round: _round, anchors: _anchors, ...pending } = receipt;

test.each([
  ['with an anchor', receipt],
  ['before its round has closed', pending],
  ['with every kind of anchor', { ...receipt, anchors: [anchor, submitted, timestamp, confirmed] }],
  ['with an anchor of a kind to come', { ...receipt, anchors: [{ type: 'x-unknown', token: 'AAAA' }] }],
])('a receipt %s is one', (_, json) => {
  expect(isReceipt(forApplications(parseReceipt(json)))).toBe(true);
  expect(isReceipt(json)).toBe(true);
});

it.each([
  ['null', null],
  ['another format', { ...receipt, format: 'antequem-receipt/v2' }],
  ['no checkpoint', { ...receipt, checkpoint: undefined }],
  ['an index that is a text', { ...receipt, entry: { ...receipt.entry, index: '5' } }],
  ['a path of numbers', { ...receipt, inclusion: { treeSize: 13, path: [1] } }],
  ['a path without end', { ...receipt, inclusion: { treeSize: 13, path: Array(65).fill('') } }],
  ['anchors without a round', { ...pending, anchors: [] }],
  ['a round without anchors', { ...pending, round: receipt.round }],
  ['a round without a link', { ...receipt, round: { ...receipt.round, link: null } }],
  ['too many anchors', { ...receipt, anchors: Array(17).fill(anchor) }],
  ['an anchor without a type', { ...receipt, anchors: [{}] }],
  ['a final anchor without a block', { ...receipt, anchors: [{ ...submitted, status: 'finalized' }] }],
  ['a confirmed timestamp without a block', { ...receipt, anchors: [{ ...timestamp, status: 'confirmed' }] }],
  ['an anchor of an unknown status', { ...receipt, anchors: [{ ...anchor, status: 'lost' }] }],
])('is not one: %s', (_, json) => {
  expect(isReceipt(json)).toBe(false);
});

it('tells the kinds of anchors apart', () => {
  const all: Receipt = { ...receipt, anchors: [anchor, confirmed, { type: 'x-unknown' }] };
  expect(all.anchors?.filter(isEvmAnchor).map(({ block }) => block?.hash)).toEqual([anchor.block.hash]);
  expect(all.anchors?.filter(isOpenTimestampsAnchor).map(({ blocks }) => blocks?.[0]?.height)).toEqual([1]);
});
