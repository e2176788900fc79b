import { expect, test } from 'vitest';
import { unpackContents } from '../../src/log/blocks/block.ts';
import { blocksOf } from '../../src/log/blocks/fresh-blocks.ts';

test('what is remembered of the open tile has memory of its own: that of a body is given back', async () => {
  const body = Buffer.from(Array.from({ length: 300 }, (_, i) => `entry ${i % 10}`).join(''));
  const contents = Array.from({ length: 300 }, (_, i) => ({
    kind: 'payload' as const,
    payload: body.subarray(7 * i, 7 * (i + 1)),
    nonce: Buffer.alloc(0),
  }));
  const times = Array<number>(300).fill(5);
  const leaves = new Uint8Array(32 * 300);
  const { blocks, open } = await blocksOf({ first: 0, times, contents, leaves, nonceSize: 0, size: 300 });
  body.fill(0);
  const [piece = null] = open;
  expect(open).toHaveLength(1);
  expect([piece?.first, piece?.contents.length]).toEqual([256, 44]);
  expect(piece?.contents).toEqual(unpackContents(blocks[1]?.content ?? body, 44));
  expect(piece?.contents[4]).toMatchObject({ payload: Buffer.from('entry 0') });
});
