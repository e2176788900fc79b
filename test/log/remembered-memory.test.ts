import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { packContents } from '../../src/log/blocks/block.ts';
import { RememberedContents } from '../../src/log/blocks/remembered-contents.ts';
import { TileStore } from '../../src/log/tilestore.ts';

// Rows come as views of 64 kB and more of what the database sent: what is remembered must not keep all of that.

/** The same bytes within the memory of much more. */
function viewOf(bytes: Uint8Array): Uint8Array {
  const memory = new Uint8Array(bytes.length + 65_536);
  memory.set(bytes, 1_000);
  return memory.subarray(1_000, 1_000 + bytes.length);
}

test('the contents of a block are remembered in memory of their own', () => {
  const nonces = Array.from({ length: 256 }, () => randomBytes(16));
  const packed = packContents(
    nonces.map((nonce) => ({ kind: 'payload', payload: randomBytes(20), nonce })),
    16,
  );
  const remembered = new RememberedContents();
  const row = { log: 1, first: 512, count: 256, erased: 0, received_at: 0, times: null, leaves_from: 512 };
  remembered.open({ ...row, bytes: 5_120, leaves: null, archived: null, content: viewOf(packed) }, undefined);
  const known = remembered.of(1, 600)?.contents.at(88);
  if (known?.kind !== 'payload') throw new Error('nothing is remembered');
  expect(Buffer.compare(known.nonce, nonces[88] ?? new Uint8Array())).toBe(0);
  expect(known.nonce.buffer.byteLength).toBe(packed.length);
});

test('leaf hashes that came with something else are remembered in memory of their own', async () => {
  const hashes = new Uint8Array(randomBytes(256 * 32));
  const tiles = new TileStore({ query: () => Promise.reject(new Error('nothing is to be read')) });
  tiles.keepLeaves(1, 2, viewOf(hashes));
  const leaves = await tiles.leaves(1, 2);
  expect(leaves).toEqual(hashes);
  expect(leaves.buffer.byteLength).toBe(hashes.length);
});
