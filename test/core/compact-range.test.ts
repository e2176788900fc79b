import { describe, expect, test } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import { CompactRange, type CompleteTile } from '../../src/core/compact-range.ts';
import { EMPTY_ROOT, hashLeaf, MerkleTree } from '../../src/core/merkle.ts';

const SIZE = 66_100;
const leaves = Array.from({ length: SIZE }, (_, i) => hashLeaf(new Uint8Array([i >> 16, (i >> 8) & 255, i & 255])));
const tree = new MerkleTree(concat(...leaves));

/** The partial tiles of a tree of `size`, from the tree itself. */
function partials(size: number): Uint8Array[] {
  const levels: Uint8Array[] = [];
  for (let level = 0, nodes = size; nodes > 0; level++, nodes = Math.floor(nodes / 256)) {
    const first = nodes - (nodes % 256);
    const hashes = Array.from({ length: nodes % 256 }, (_, i) => tree.node({ level: 8 * level, index: first + i }));
    levels.push(concat(...hashes));
  }
  return levels;
}

function grow(range: CompactRange, to: number): CompleteTile[] {
  const tiles: CompleteTile[] = [];
  while (range.size < to) range.append(leaves[range.size]!, (tile) => tiles.push(tile));
  return tiles;
}

/** The tiles that a tree of `from` leaves completes on its way to `to`, in the order of completion. */
function expectedTiles(from: number, to: number): string[] {
  const expected: string[] = [];
  for (let size = from + 1; size <= to; size++) {
    for (let level = 0, width = 256; size % width === 0; level++, width *= 256) {
      expected.push(`${level}/${size / width - 1}`);
    }
  }
  return expected;
}

function checkTiles(tiles: readonly CompleteTile[], from: number, to: number): void {
  expect(tiles.map(({ level, index }) => `${level}/${index}`)).toEqual(expectedTiles(from, to));
  for (const { level, index, hashes, root } of tiles) {
    const slice = Array.from({ length: 256 }, (_, i) => tree.node({ level: 8 * level, index: index * 256 + i }));
    expect(Buffer.compare(hashes, concat(...slice))).toBe(0);
    expect(toHex(root)).toBe(toHex(tree.node({ level: 8 * level + 8, index })));
  }
}

test('an empty tree', () => {
  expect(CompactRange.restore(0, []).root()).toEqual(EMPTY_ROOT);
  expect(CompactRange.restore(0, []).size).toBe(0);
});

test('grown leaf by leaf: the root of every size to 1,100, each tile once and right', () => {
  const range = CompactRange.restore(0, []);
  const tiles: CompleteTile[] = [];
  for (let size = 1; size <= 1_100; size++) {
    tiles.push(...grow(range, size));
    expect(range.size).toBe(size);
    expect(Buffer.compare(range.root(), tree.root(size))).toBe(0);
  }
  checkTiles(tiles, 0, 1_100);
});

test('restored at every size to 1,100, and grown over two tile ends from there', () => {
  for (let size = 0; size <= 1_100; size++) {
    const range = CompactRange.restore(size, partials(size));
    expect(Buffer.compare(range.root(), tree.root(size))).toBe(0);
    const tiles = grow(range, size + 3);
    expect(Buffer.compare(range.root(), tree.root(size + 3))).toBe(0);
    checkTiles(tiles, size, size + 3);
  }
});

describe('around 65,536, where a tile of level 1 is completed', () => {
  test('grown all the way, every tile once and right', () => {
    const range = CompactRange.restore(0, []);
    const tiles = grow(range, 65_530);
    for (let size = 65_531; size <= 66_100; size++) {
      tiles.push(...grow(range, size));
      expect(Buffer.compare(range.root(), tree.root(size))).toBe(0);
    }
    checkTiles(tiles, 0, 66_100);
    expect(tiles.filter(({ level }) => level === 1)).toHaveLength(1);
  });

  test('restored at each size', () => {
    for (let size = 65_270; size <= 65_800; size += 1) {
      const range = CompactRange.restore(size, partials(size));
      expect(Buffer.compare(range.root(), tree.root(size))).toBe(0);
      if (size % 16 !== 0) continue;
      const tiles = grow(range, size + 290);
      expect(Buffer.compare(range.root(), tree.root(size + 290))).toBe(0);
      checkTiles(tiles, size, size + 290);
    }
  });
});

test('whole tiles at once: the same tiles, roots and range as leaf by leaf', () => {
  const range = CompactRange.restore(0, []);
  const tiles: CompleteTile[] = [];
  while (range.size < 65_792) {
    const hashes = concat(...leaves.slice(range.size, range.size + 256));
    range.appendTile(hashes, (tile) => tiles.push(tile));
    expect(Buffer.compare(range.root(), tree.root(range.size))).toBe(0);
  }
  checkTiles(tiles, 0, 65_792);
  tiles.push(...grow(range, 66_100));
  checkTiles(tiles, 0, 66_100);
  expect(range.partials().map(toHex)).toEqual(partials(66_100).map(toHex));
  const wrong = expect.objectContaining({ code: 'tree-shape' });
  expect(() => range.appendTile(new Uint8Array(8_192), () => {})).toThrow(wrong);
  expect(() => CompactRange.restore(0, []).appendTile(new Uint8Array(8_160), () => {})).toThrow(wrong);
});

test('a tile that was handed out is not written to afterwards', () => {
  const range = CompactRange.restore(0, []);
  const [tile] = grow(range, 256);
  const before = toHex(tile!.hashes);
  grow(range, 600);
  expect(toHex(tile!.hashes)).toBe(before);
});

test('partial tiles of another length are refused', () => {
  const wrong = expect.objectContaining({ code: 'tree-shape' });
  expect(() => CompactRange.restore(1, [])).toThrow(wrong);
  expect(() => CompactRange.restore(3, [new Uint8Array(64)])).toThrow(wrong);
  expect(() => CompactRange.restore(3, [new Uint8Array(128)])).toThrow(wrong);
  expect(() => CompactRange.restore(256, [])).toThrow(wrong);
  expect(() => CompactRange.restore(256, [new Uint8Array(32), new Uint8Array(32)])).toThrow(wrong);
  expect(() => CompactRange.restore(257, [new Uint8Array(32)])).toThrow(wrong);
});
