import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { costForms, receiptCost } from '../../src/evm/receipt-cost.ts';

const costOf = (told: object): bigint | null => receiptCost(z.object(costForms).parse(told));
const gas = { gasUsed: '0xb1a2', effectiveGasPrice: '0x3b9aca00' };
const GAS_WEI = 0xb1a2n * 1_000_000_000n;

test.each<[string, object, bigint | null]>([
  ['gas alone', gas, GAS_WEI],
  ['a node that tells no price', { gasUsed: '0xb1a2' }, null],
  ['nothing to pay', { gasUsed: '0xb1a2', effectiveGasPrice: '0x0' }, 0n],
  ['OP stack: data for Ethereum', { ...gas, l1Fee: '0x64' }, GAS_WEI + 100n],
  [
    'OP stack, Isthmus: the operator takes scalar × gas / 10^6 + constant',
    { ...gas, l1Fee: '0x64', operatorFeeScalar: '0x4c4b40', operatorFeeConstant: '0x7' },
    GAS_WEI + 100n + 5n * 0xb1a2n + 7n,
  ],
  [
    'OP stack, Jovian: scalar × gas × 100 + constant',
    { ...gas, l1Fee: '0x64', operatorFeeScalar: '0x2', operatorFeeConstant: '0x7', daFootprintGasScalar: '0x94' },
    GAS_WEI + 100n + 200n * 0xb1a2n + 7n,
  ],
  ['no operator fee is set', { ...gas, l1Fee: null, operatorFeeScalar: '0x0', operatorFeeConstant: '0x0' }, GAS_WEI],
])('%s', (_, told, wei) => {
  expect(costOf(told)).toBe(wei);
});
