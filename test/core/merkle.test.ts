import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import {
  consistencyRanges,
  EMPTY_ROOT,
  hashLeaf,
  hashNode,
  inclusionRanges,
  MerkleTree,
} from '../../src/core/merkle.ts';
import { rootFromConsistency, rootFromInclusion, verifyConsistency, verifyInclusion } from '../../src/core/proof.ts';

// The definitions of RFC 9162 section 2.1, word for word, to compare with.
const split = (n: number): number => 2 ** (Math.ceil(Math.log2(n)) - 1);
function naiveRoot(leaves: Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0]!;
  const k = split(leaves.length);
  return hashNode(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}
function naiveInclusion(m: number, leaves: Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return m < k
    ? [...naiveInclusion(m, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
    : [...naiveInclusion(m - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))];
}
function naiveConsistency(m: number, leaves: Uint8Array[], whole = true): Uint8Array[] {
  if (m === leaves.length) return whole ? [] : [naiveRoot(leaves)];
  const k = split(leaves.length);
  return m <= k
    ? [...naiveConsistency(m, leaves.slice(0, k), whole), naiveRoot(leaves.slice(k))]
    : [...naiveConsistency(m - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))];
}

const leavesTo = (n: number): Uint8Array[] =>
  Array.from({ length: n }, (_, i) => hashLeaf(new Uint8Array([i >> 16, (i >> 8) & 255, i & 255])));
const hex = (hashes: Uint8Array[]): string[] => hashes.map(toHex);

describe('trees of every size to 600', () => {
  const leaves = leavesTo(600);
  const tree = new MerkleTree(concat(...leaves));

  test('roots are those of the recursive definition, as a prefix of a larger tree too', () => {
    for (let n = 0; n <= 600; n++) {
      const root = toHex(naiveRoot(leaves.slice(0, n)));
      expect(toHex(tree.root(n))).toBe(root);
      expect(toHex(new MerkleTree(concat(...leaves.slice(0, n))).root())).toBe(root);
    }
  });

  test('inclusion paths are those of the recursive definition and verify', () => {
    for (let n = 1; n <= 600; n++) {
      const root = tree.root(n);
      // Every leaf of the small trees; the ends, the middle and a stride of the larger ones.
      for (let i = 0; i < n; i += n <= 70 || i < 3 || i > n - 4 ? 1 : 37) {
        const path = tree.inclusionPath(i, n);
        if (n <= 70) expect(hex(path)).toEqual(hex(naiveInclusion(i, leaves.slice(0, n))));
        expect(verifyInclusion(leaves[i]!, i, n, path, root)).toBe(true);
        expect(verifyInclusion(leaves[(i + 1) % 600]!, i, n, path, root)).toBe(false);
      }
    }
  });

  test('consistency paths are those of the recursive definition and verify', () => {
    for (let n = 1; n <= 600; n++) {
      for (let m = 1; m <= n; m += n <= 70 ? 1 : 29) {
        const path = tree.consistencyPath(m, n);
        if (n <= 70) expect(hex(path)).toEqual(hex(naiveConsistency(m, leaves.slice(0, n))));
        expect(verifyConsistency(m, n, path, tree.root(m), tree.root(n))).toBe(true);
      }
    }
  });
});

describe('far beyond', () => {
  const SIZE = 70_000;
  const leaves = leavesTo(SIZE);
  const tree = new MerkleTree(concat(...leaves));

  test('inclusion and consistency at random sizes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: SIZE }), fc.nat(), fc.nat(), (n, a, b) => {
        const i = a % n;
        const m = 1 + (b % n);
        expect(verifyInclusion(leaves[i]!, i, n, tree.inclusionPath(i, n), tree.root(n))).toBe(true);
        expect(verifyConsistency(m, n, tree.consistencyPath(m, n), tree.root(m), tree.root(n))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('the recursive definition agrees at 70,000 leaves', () => {
    expect(toHex(naiveRoot(leaves))).toBe(toHex(tree.root()));
    expect(hex(tree.inclusionPath(65_535))).toEqual(hex(naiveInclusion(65_535, leaves)));
    expect(hex(tree.consistencyPath(65_537))).toEqual(hex(naiveConsistency(65_537, leaves)));
  });

  test('a path in a tree of nearly 2^53 leaves is walked by the right sides', () => {
    const size = 2 ** 53 - 1;
    const path = Array.from({ length: 53 }, (_, i) => hashLeaf(new Uint8Array([i])));
    const leaf = hashLeaf(new Uint8Array([99]));
    const first = path.reduce((hash, sibling) => hashNode(hash, sibling), leaf);
    expect(toHex(rootFromInclusion(leaf, 0, size, path) ?? new Uint8Array())).toBe(toHex(first));
    expect(rootFromInclusion(leaf, size, size, path)).toBeNull();
  });
});

describe('proofs that should not verify', () => {
  const leaves = leavesTo(300);
  const tree = new MerkleTree(concat(...leaves));
  const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
    const out = Uint8Array.from(bytes);
    out[(bit >> 3) % out.length]! ^= 1 << (bit & 7);
    return out;
  };

  test('random hashes in place of a path', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 300 }),
        fc.nat(),
        fc.array(hash, { minLength: 1, maxLength: 12 }),
        (n, a, path) => {
          const i = a % n;
          expect(verifyInclusion(leaves[i]!, i, n, path, tree.root(n))).toBe(false);
          const m = 1 + (a % (n - 1));
          expect(verifyConsistency(m, n, path, tree.root(m), tree.root(n))).toBe(false);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('one mutation of a true proof: a bit, a hash lost, doubled or exchanged, another index or size', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 300 }),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 0, max: 5 }),
        (n, a, b, kind) => {
          const i = a % n;
          const mutate = (path: Uint8Array[]): Uint8Array[] => {
            const at = b % Math.max(1, path.length);
            if (kind === 0) return path.map((hash, k) => (k === at ? flip(hash, b) : hash));
            if (kind === 1) return path.filter((_, k) => k !== at);
            if (kind === 2) return [...path, leaves[b % 300]!];
            return [leaves[b % 300]!, ...path];
          };
          const path = tree.inclusionPath(i, n);
          const root = tree.root(n);
          if (kind === 4) {
            const other = (i + 1 + (b % (n - 1))) % n;
            expect(verifyInclusion(leaves[i]!, other, n, path, root)).toBe(false);
          } else if (kind === 5) {
            expect(verifyInclusion(leaves[i]!, i, n, path, flip(root, b))).toBe(false);
            expect(verifyInclusion(flip(leaves[i]!, b), i, n, path, root)).toBe(false);
          } else {
            expect(verifyInclusion(leaves[i]!, i, n, mutate(path), root)).toBe(false);
          }
          const m = 1 + (a % (n - 1));
          const consistency = tree.consistencyPath(m, n);
          if (kind < 4) expect(verifyConsistency(m, n, mutate(consistency), tree.root(m), root)).toBe(false);
          if (kind === 5) expect(verifyConsistency(m, n, consistency, flip(tree.root(m), b), root)).toBe(false);
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

const outOfRange = expect.objectContaining({ code: 'proof-range' });

test.each([
  [0, 3],
  [4, 3],
  [-1, 3],
  [1.5, 3],
  [1, 2.5],
  [1, 2 ** 53],
  [2 ** 53, 2 ** 53],
  [Number.NaN, 3],
])('there is no consistency path from %d to %d', (from, to) => {
  expect(() => consistencyRanges(from, to)).toThrow(outOfRange);
});

test.each([
  [3, 3],
  [4, 3],
  [-1, 3],
  [0.5, 3],
  [1, 2.5],
  [1, 2 ** 53],
  [0, 0],
  [Number.NaN, 3],
])('there is no inclusion path of leaf %d in a tree of %d', (index, size) => {
  expect(() => inclusionRanges(index, size)).toThrow(outOfRange);
});

test.each([
  [-1, 2],
  [1.5, 2],
  [Number.NaN, 2],
  [1, 2.5],
  [1, Number.NaN],
  [1, 2 ** 53],
  [3, 2],
])('no proof leads from %d to %d leaves', (from, to) => {
  const hash = new Uint8Array(32);
  for (const path of [[], [hash], [hash, hash]]) expect(rootFromConsistency(from, to, path, hash)).toBeNull();
});
