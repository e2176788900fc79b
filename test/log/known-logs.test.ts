import { expect, it } from 'vitest';
import { CompactRange } from '../../src/core/compact-range.ts';
import { blocksOf } from '../../src/log/blocks/fresh-blocks.ts';
import { KnownLogs } from '../../src/log/known-logs.ts';

const HASH = new Uint8Array(32);

/** The open part of a tile that came by commits of so many entries, each of so many bytes. */
async function openTile(commits: number, entries: number, bytes: number) {
  const open = [];
  for (let commit = 0; commit < commits; commit++) {
    const first = commit * entries;
    const contents = Array.from({ length: entries }, () => ({
      kind: 'payload' as const,
      payload: new Uint8Array(bytes),
      nonce: new Uint8Array(16),
    }));
    const leaves = new Uint8Array(32 * entries);
    const times = Array<number>(entries).fill(0);
    open.push(...(await blocksOf({ first, times, contents, leaves, nonceSize: 16, size: first + entries })).open);
  }
  return open;
}

it.each([
  ['are remembered where they are small', 7, 32, 200, true],
  ['are not where they are larger than 512 KiB together', 33, 7, 2_300, false],
])('entries of an open tile %s', async (_, commits, entries, bytes, isRemembered) => {
  const logs = new KnownLogs();
  const head = { size: commits * entries, root: HASH, lastLeaf: HASH, lastReceivedAt: 0 };
  logs.keep(1, { head, range: new CompactRange(), open: await openTile(commits, entries, bytes) });
  expect(logs.take(1)?.open !== null).toBe(isRemembered);
});
