import { Interface, id, zeroPadValue } from 'ethers';
import { expect, test } from 'vitest';
import { ANCHORED_TOPIC, decodeAnchoredLog } from '../../src/core/anchored-event.ts';
import {
  ANCHOR_INTERFACE,
  encodeAnchor,
  encodeAnchoredAt,
  encodeAnnounce,
  encodeExistedBefore,
} from '../../src/evm/anchor-contract.ts';

// The interface of the design, section 5, word for word.
const DESIGN = new Interface([
  'event Anchored(address indexed sender, bytes32 indexed root)',
  'function anchor(bytes32 root) external',
  'function announce(bytes32 root) external',
  'function anchoredAt(bytes32 root) external view returns (uint64 time, uint64 blockNumber)',
  'function existedBefore(bytes32 digest, bytes calldata path) external view returns (uint64 time, uint64 blockNumber)',
]);

const SENDER = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const ROOT = Uint8Array.from({ length: 32 }, (_, i) => i);
const ROOT_HEX = '0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';

test('the contract has the functions and the event of the design, and errors besides', () => {
  const built = ANCHOR_INTERFACE.fragments.filter((fragment) => fragment.type !== 'error');
  const form = (fragments: typeof built) => fragments.map((fragment) => fragment.format('full')).toSorted();
  expect(form(built)).toEqual(form([...DESIGN.fragments]));
  expect(ANCHORED_TOPIC).toBe(id('Anchored(address,bytes32)'));
});

test('calldata is that of the design', () => {
  const path = new Uint8Array([1, 2, 0]);
  expect(encodeAnchor(ROOT)).toBe(DESIGN.encodeFunctionData('anchor', [ROOT]));
  expect(encodeAnnounce(ROOT)).toBe(DESIGN.encodeFunctionData('announce', [ROOT]));
  expect(encodeAnchoredAt(ROOT)).toBe(DESIGN.encodeFunctionData('anchoredAt', [ROOT]));
  expect(encodeExistedBefore(ROOT, path)).toBe(DESIGN.encodeFunctionData('existedBefore', [ROOT, path]));
});

test('a root of another length is refused', () => {
  for (const length of [0, 31, 33]) {
    for (const encode of [encodeAnchor, encodeAnnounce, encodeAnchoredAt]) {
      expect(() => encode(new Uint8Array(length))).toThrow(expect.objectContaining({ code: 'hash-length' }));
    }
  }
});

test('a log is decoded in its one encoding only', () => {
  const log = { topics: [ANCHORED_TOPIC, zeroPadValue(SENDER, 32), ROOT_HEX], data: '0x' };
  expect(decodeAnchoredLog(log)).toEqual({ sender: SENDER.toLowerCase(), root: ROOT });
  const [topic = '', sender = ''] = log.topics;
  for (const altered of [
    { ...log, data: '0x00' },
    { ...log, topics: [topic, sender] },
    { ...log, topics: [...log.topics, ROOT_HEX] },
    { ...log, topics: [id('Anchored(bytes32)'), sender, ROOT_HEX] },
    { ...log, topics: [topic, `0x01${sender.slice(4)}`, ROOT_HEX] },
    { ...log, topics: [topic, sender, ROOT_HEX.slice(0, -2)] },
    { ...log, topics: [] },
  ]) {
    expect(decodeAnchoredLog(altered)).toBeNull();
  }
});
