import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { concat, toHex } from '../../src/core/bytes.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { MAX_STEPS, packPath, type Step, treeSteps, unpackPath, walkPath } from '../../src/core/path.ts';

const part = fc.uint8Array({ maxLength: 255 });
const step = fc.record({ prefix: part, suffix: part });
const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });

test('packed paths come back', () =>
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      expect(unpackPath(packPath(steps))).toEqual(steps);
    }),
  ));

test('every path that unpacks packs to the same bytes, all others are refused', () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      let steps: Step[];
      try {
        steps = unpackPath(bytes);
      } catch (error) {
        expect(error).toEqual(code('path-cut'));
        return;
      }
      expect(toHex(packPath(steps))).toBe(toHex(bytes));
    }),
    { numRuns: 1_000 },
  ));

test('a path that is cut within a step is refused', () => {
  const steps = [
    { prefix: new Uint8Array([1, 2]), suffix: new Uint8Array(0) },
    { prefix: new Uint8Array(0), suffix: new Uint8Array(255) },
  ];
  const packed = packPath(steps);
  const ends = [0, 4, packed.length];
  for (let length = 0; length <= packed.length; length++) {
    const cut = packed.slice(0, length);
    if (ends.includes(length)) expect(unpackPath(cut)).toEqual(steps.slice(0, ends.indexOf(length)));
    else expect(() => unpackPath(cut)).toThrow(code('path-cut'));
  }
});

test('128 steps at most, 255 bytes in each field', () => {
  const empty = { prefix: new Uint8Array(0), suffix: new Uint8Array(0) };
  const longest = Array.from({ length: MAX_STEPS }, () => empty);
  expect(unpackPath(packPath(longest))).toHaveLength(MAX_STEPS);
  expect(() => packPath([...longest, empty])).toThrow(code('path-length'));
  expect(() => unpackPath(new Uint8Array(2 * MAX_STEPS + 2))).toThrow(code('path-length'));
  expect(() => packPath([{ prefix: new Uint8Array(256), suffix: new Uint8Array(0) }])).toThrow(code('path-length'));
  expect(() => packPath([{ prefix: new Uint8Array(0), suffix: new Uint8Array(256) }])).toThrow(code('path-length'));
});

test('each step is SHA-256(prefix ‖ x ‖ suffix)', () => {
  const x = new Uint8Array([9]);
  const steps = [
    { prefix: new Uint8Array([1]), suffix: new Uint8Array([2]) },
    { prefix: new Uint8Array(0), suffix: new Uint8Array([3]) },
  ];
  expect(walkPath(x, [])).toEqual(x);
  expect(walkPath(x, steps)).toEqual(sha256(concat(sha256(new Uint8Array([1, 9, 2])), new Uint8Array([3]))));
});

test('an inclusion path as steps leads to the root; a hash more or less is refused', () => {
  const leaves = Array.from({ length: 300 }, (_, i) => hashLeaf(new Uint8Array([i >> 8, i & 255])));
  const tree = new MerkleTree(concat(...leaves));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), (size, n) => {
      const index = n % size;
      const path = tree.inclusionPath(index, size);
      expect(walkPath(leaves[index]!, treeSteps(index, size, path))).toEqual(tree.root(size));
      expect(() => treeSteps(index, size, [...path, leaves[0]!])).toThrow(code('path-length'));
      if (path.length > 0) expect(() => treeSteps(index, size, path.slice(1))).toThrow(code('path-length'));
      expect(() => treeSteps(size, size, path)).toThrow(code('path-length'));
    }),
  );
});
