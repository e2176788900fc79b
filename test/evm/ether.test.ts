import { formatEther as reference } from 'ethers';
import { expect, test } from 'vitest';
import { formatEther } from '../../src/evm/ether.ts';

test.each([
  0n,
  1n,
  10n ** 17n,
  10n ** 18n,
  21_000n * 3n * 10n ** 9n,
  3n * 10n ** 18n + 10n,
  123_456_789n * 10n ** 18n + 999_999_999_999_999_999n,
])('%s wei are told as ether', (wei) => {
  expect(formatEther(wei)).toBe(reference(wei));
});
