import { expect, test } from 'vitest';
import { BITCOIN, bitcoinChain, parseHeader } from '../../src/core/bitcoin-header.ts';
import { toHex } from '../../src/core/bytes.ts';
import { GENESIS, SECOND } from './chain-server.ts';

test("the headers of Bitcoin's first two blocks", () => {
  const first = parseHeader(GENESIS);
  expect(first.hash).toBe('000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f');
  expect(first.previous).toBe('0'.repeat(64));
  expect(new Date(first.time).toISOString()).toBe('2009-01-03T18:15:05.000Z');
  expect(toHex(first.merkleRoot)).toBe('3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a');
  expect(bitcoinChain(first.hash)).toBe(BITCOIN);
  const second = parseHeader(SECOND);
  expect(second.hash).toBe('00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048');
  expect(second.previous).toBe(first.hash);
  expect(new Date(second.time).toISOString()).toBe('2009-01-09T02:54:25.000Z');
});

test('a header within a larger buffer', () => {
  const buffer = new Uint8Array([7, ...SECOND, 7]);
  expect(parseHeader(buffer.subarray(1, 81))).toEqual(parseHeader(SECOND));
});

test('80 bytes, and no other number of them', () => {
  for (const length of [0, 79, 81]) {
    expect(() => parseHeader(new Uint8Array(length))).toThrow(expect.objectContaining({ code: 'header-length' }));
  }
});
