import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { consistencyRanges, inclusionRanges, type MerkleTree } from '../../src/core/merkle.ts';
import { verifyConsistency, verifyInclusion } from '../../src/core/proof.ts';
import type { Log } from '../../src/log/log.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  server = await testDatabase();
  [one, two] = [await openInstance(server.url), await openInstance(server.url)];
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

async function extend(instance: Instance, log: Log, to: number): Promise<void> {
  for (let { size } = await instance.registry.head(log); size < to; size += Math.min(10_000, to - size)) {
    const list = drafts(Math.min(10_000, to - size), `from ${size}`);
    await instance.appender.append(log, { drafts: list, idempotency: null });
  }
}

test('one entry at a time over the ends of tiles', async () => {
  const log = await one.makeLog('steps');
  for (const to of [62, 126, 253, 510]) {
    await extend(one, log, to);
    for (let i = 0; i < 4; i++) await (i % 2 === 0 ? one : two).append(log, `step ${i}`);
    await recompute(one.database, log);
  }
});

test('the head after each end, read back by a process that remembers nothing', async () => {
  const log = await one.makeLog('restored');
  for (const size of [1, 63, 64, 65, 255, 256, 257, 511, 512, 513, 768]) {
    await extend(one, log, size);
    const fresh = await openInstance(server.url);
    await fresh.append(log, 'by another');
    await fresh.end();
    await recompute(one.database, log);
  }
});

describe('a log of more than 65,536', () => {
  let log: Log;
  let tree: MerkleTree;
  const SIZE = 66_100;

  beforeAll(async () => {
    log = await one.makeLog('long');
    await extend(one, log, 65_530);
    for (const to of [65_535, 65_536, 65_537, 65_540]) await extend(to % 2 === 0 ? one : two, log, to);
    await extend(two, log, SIZE);
    ({ tree } = await recompute(one.database, log));
  });

  const ends = [1, 2, 255, 256, 257, 511, 512, 1_000, 32_768, 65_279, 65_280, 65_281, 65_535, 65_536, 65_537, SIZE];

  test('inclusion proofs from tiles are those of the tree, at older sizes too', async () => {
    let seed = 1;
    const next = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const pairs = [
      ...ends.flatMap((size) => [0, 1, 255, 256, 65_535, 65_536, size - 1].map((index) => ({ index, size }))),
      ...Array.from({ length: 300 }, () => {
        const size = 1 + next(SIZE);
        return { index: next(size), size };
      }),
    ].filter(({ index, size }) => index < size);
    expect(pairs.length).toBeGreaterThan(350);
    // What is cached must not be taken for what is of another size.
    for (const { index, size } of [...pairs, ...pairs.toReversed()]) {
      const path = await two.tiles.ranges(log, inclusionRanges(index, size), size);
      expect(path.map(toHex)).toEqual(tree.inclusionPath(index, size).map(toHex));
      expect(verifyInclusion(tree.node({ level: 0, index }), index, size, path, tree.root(size))).toBe(true);
    }
  });

  test('consistency proofs from tiles are those of the tree', async () => {
    for (const to of ends) {
      for (const from of ends.filter((size) => size <= to)) {
        const path = await one.tiles.ranges(log, consistencyRanges(from, to), to);
        expect(path.map(toHex)).toEqual(tree.consistencyPath(from, to).map(toHex));
        expect(verifyConsistency(from, to, path, tree.root(from), tree.root(to))).toBe(true);
      }
    }
  });

  test('a proof reads few tiles', async () => {
    const fresh = await openInstance(server.url);
    const query = vi.spyOn(fresh.database, 'query');
    let proofs = 0;
    for (let index = 0; index < 66_000; index += 6_000) {
      await fresh.tiles.ranges(log, inclusionRanges(index, SIZE), SIZE);
      proofs++;
    }
    let tiles = 0;
    for (const { value } of query.mock.results) tiles += (await value).rows.length;
    expect(tiles).toBeGreaterThan(0);
    // Of each of three levels one, and the partial ones at the end.
    expect(tiles / proofs).toBeLessThan(8);
    await fresh.end();
  });

  test('tiles, complete and partial', async () => {
    const node = (level: number, index: number) => tree.node({ level: 8 * level, index });
    const hashes = (level: number, index: number, width: number) =>
      Buffer.concat(Array.from({ length: width }, (_, i) => node(level, index * 256 + i)));
    for (const [level, index, size, width] of [
      [0, 0, SIZE, 256],
      [0, 258, SIZE, 52],
      [1, 0, SIZE, 256],
      [1, 1, SIZE, 2],
      [2, 0, SIZE, 1],
      [0, 256, 65_537, 1],
      [1, 0, 65_535, 255],
      [1, 1, 65_536, 0],
      [2, 0, 65_536, 1],
    ] as const) {
      const tile = await one.tiles.tile(log, level, index, size);
      expect(Buffer.compare(tile, hashes(level, index, tile.length / 32))).toBe(0);
      expect(tile.length / 32).toBe(width);
    }
    await expect(one.tiles.tile(log, 0, 259, SIZE)).rejects.toMatchObject({ code: 'log-damaged' });
  });

  test('entries listed over the ends of blocks', async () => {
    for (const [begin, end] of [
      [60, 70],
      [0, 1_000],
      [65_000, 66_000],
      [SIZE - 1, SIZE],
    ] as const) {
      const list = await two.entries.list(log, begin, end);
      expect(list.map(({ index }) => index)).toEqual(Array.from({ length: end - begin }, (_, i) => begin + i));
      expect(list.map(({ leafHash }) => toHex(leafHash))).toEqual(
        list.map(({ index }) => toHex(tree.node({ level: 0, index }))),
      );
    }
    await expect(one.entries.list(log, SIZE - 1, SIZE + 1)).rejects.toMatchObject({ code: 'log-damaged' });
  });
});
