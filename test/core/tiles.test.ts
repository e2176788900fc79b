import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import {
  encodeBundle,
  nodeFromTile,
  parseBundle,
  parseTileLocation,
  parseTilePath,
  tileLocation,
  tileOfNode,
  tilePath,
  tileWidth,
} from '../../src/core/tiles.ts';

const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });

describe('paths', () => {
  test.each([
    [0, '000'],
    [999, '999'],
    [1_000, 'x001/000'],
    [1_234_067, 'x001/x234/067'],
    [999_999, 'x999/999'],
    [1_000_000, 'x001/x000/000'],
  ])('%d', (index, path) => {
    expect(tilePath(index)).toBe(path);
    expect(parseTilePath(path)).toBe(index);
  });

  test('come back', () =>
    fc.assert(
      fc.property(fc.maxSafeNat(), (index) => {
        expect(parseTilePath(tilePath(index))).toBe(index);
      }),
    ));

  test.each([
    '',
    '0',
    '00',
    '0000',
    'x000/000',
    'x000/x001/000',
    '001/000',
    'x001/x000',
    'x001',
    'X001/000',
    'x001/000/',
    '/000',
    'x01/000',
    'x001//000',
    '٠٠٠',
    'x009/x007/x199/x254/x740/992',
    '-01',
    '000\n',
  ])('%j is none', (path) => expect(parseTilePath(path)).toBeNull());

  test.each([-1, 0.5, 2 ** 53, Number.NaN])('%d has none', (index) => {
    expect(() => tilePath(index)).toThrow(code('tile-path'));
  });
});

describe('locations', () => {
  test('come back', () =>
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constant('entries' as const)),
        fc.maxSafeNat(),
        fc.integer({ min: 1, max: 256 }),
        (level, index, width) => {
          const tile = { level, index, width };
          expect(parseTileLocation(tileLocation(tile))).toEqual(tile);
        },
      ),
    ));

  test('a partial one says how wide, a whole one does not', () => {
    expect(tileLocation({ level: 0, index: 1_000, width: 256 })).toBe('tile/0/x001/000');
    expect(tileLocation({ level: 0, index: 1_000, width: 255 })).toBe('tile/0/x001/000.p/255');
    expect(tileLocation({ level: 'entries', index: 0, width: 1 })).toBe('tile/entries/000.p/1');
  });

  test.each([
    '',
    'tile/0',
    'tile/0/',
    'tile/64/000',
    'tile/-1/000',
    'tile/00/000',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/999',
    'tile/0/000.p/1000',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/0/000.p/1/',
    'tile/0/000.p',
    'tile/0/x000/000',
    'tile/entry/000',
    'tile/Entries/000',
    '/tile/0/000',
    'tile/0/000?x',
    'tile/0/000\n',
    'tile/0/../000',
  ])('%j is none', (location) => {
    expect(() => parseTileLocation(location)).toThrow(code('tile-location'));
  });
});

test.each([
  [0, 0, 0, 0],
  [0, 0, 1, 1],
  [0, 0, 255, 255],
  [0, 0, 256, 256],
  [0, 0, 257, 256],
  [0, 1, 256, 0],
  [0, 1, 257, 1],
  [1, 0, 255, 0],
  [1, 0, 256, 1],
  [1, 0, 65_535, 255],
  [1, 0, 65_536, 256],
  [1, 1, 65_536, 0],
  [2, 0, 65_536, 1],
  [6, 0, 2 ** 48, 1],
  [6, 0, 2 ** 53 - 1, 31],
])('tile %d/%d of %d leaves is %d wide', (level, index, size, width) => {
  expect(tileWidth(level, index, size)).toBe(width);
});

test('every node of a tree comes out of its tile', () => {
  const SIZE = 70_000;
  const leaves = Buffer.alloc(SIZE * 32);
  for (let i = 0; i < SIZE; i++) leaves.set(hashLeaf(new Uint8Array([i >> 16, (i >> 8) & 255, i & 255])), i * 32);
  const tree = new MerkleTree(leaves);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 16 }), fc.nat(), (level, n) => {
      const node = { level, index: n % Math.floor(SIZE / 2 ** level) };
      const slice = tileOfNode(node);
      const width = tileWidth(slice.level, slice.index, SIZE);
      const hashes = Array.from({ length: width }, (_, i) =>
        tree.node({ level: slice.level * 8, index: slice.index * 256 + i }),
      );
      expect(slice.offset + slice.hashes).toBeLessThanOrEqual(256);
      expect(toHex(nodeFromTile(concat(...hashes), slice))).toBe(toHex(tree.node(node)));
      const short = concat(...hashes.slice(0, slice.offset + slice.hashes - 1));
      expect(() => nodeFromTile(short, slice)).toThrow(code('tile-short'));
    }),
    { numRuns: 300 },
  );
});

describe('bundles', () => {
  test('come back', () =>
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 256 }), (entries) => {
        expect(parseBundle(encodeBundle(entries))).toEqual(entries);
      }),
      { numRuns: 50 },
    ));

  test('an entry of 65,535 bytes, none of more', () => {
    const longest = new Uint8Array(65_535).fill(7);
    expect(parseBundle(encodeBundle([longest]))).toEqual([longest]);
    expect(() => encodeBundle([new Uint8Array(65_536)])).toThrow(code('bundle-entry'));
  });

  test('cut short, or of 257 entries', () => {
    const bundle = encodeBundle([new Uint8Array(73), new Uint8Array(73)]);
    for (let length = 1; length < bundle.length; length++) {
      if (length === 75) continue;
      expect(() => parseBundle(bundle.slice(0, length))).toThrow(code('bundle-invalid'));
    }
    expect(() => parseBundle(new Uint8Array(2 * 257))).toThrow(code('bundle-invalid'));
    expect(parseBundle(new Uint8Array(2 * 256))).toHaveLength(256);
  });
});
