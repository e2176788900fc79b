// Tries of a few nodes, made by hand. Those of real blocks are in test/verify/evm-proof.test.ts.

import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { keccak256 } from '../../src/core/keccak.ts';
import { encodeRlp, type Rlp } from '../../src/core/rlp.ts';
import { walkTrie } from '../../src/core/trie.ts';

const NONE = new Uint8Array(0);
const VALUE = new Uint8Array(40).fill(9);
const broken = expect.objectContaining({ name: 'FormatError', code: 'trie-broken' });

/** A node with 17 items: children by their nibble, and a value. */
function branch(children: Readonly<Record<number, Rlp>>, value: Uint8Array = NONE): Rlp {
  return [...Array.from({ length: 16 }, (_, i) => children[i] ?? NONE), value];
}

/** The walk along nodes of which each but the first is named by the one before. */
function walk(key: string, ...nodes: readonly Rlp[]): Uint8Array {
  const encoded = nodes.map(encodeRlp);
  return walkTrie(keccak256(encoded[0] ?? NONE), fromHex(key), encoded);
}

const leaf: Rlp = [fromHex('20abcd'), VALUE];

describe('a walk along a trie', () => {
  test('ends at a leaf with the rest of the key', () => {
    expect(walk('abcd', leaf)).toEqual(VALUE);
    // An odd rest has its first half-byte beside the flag.
    expect(
      walk('2bcd', branch({ 2: keccak256(encodeRlp([fromHex('3bcd'), VALUE])) }), [fromHex('3bcd'), VALUE]),
    ).toEqual(VALUE);
  });

  test('goes through extensions and branches, and ends at the value of a branch', () => {
    const end = branch({}, VALUE);
    const middle = branch({ 13: keccak256(encodeRlp(end)) });
    const extension: Rlp = [fromHex('1abc'), keccak256(encodeRlp(middle))];
    expect(walk('abcd', extension, middle, end)).toEqual(VALUE);
  });

  test('goes through a small node inside its parent', () => {
    const small: Rlp = [fromHex('3d'), fromHex('07')];
    expect(walk('ad', branch({ 10: small }))).toEqual(fromHex('07'));
  });

  test.each(['abce', 'abc0', 'ab', 'abcdef', ''])('does not find %s', (key) => {
    expect(() => walk(key, leaf)).toThrow(broken);
  });

  test('refuses nodes that are missing, left over, of another hash or shape', () => {
    expect(() => walk('abcd', branch({ 10: keccak256(encodeRlp(leaf)) }))).toThrow(broken);
    expect(() => walk('abcd', leaf, leaf)).toThrow(broken);
    expect(() => walkTrie(keccak256(NONE), fromHex('abcd'), [encodeRlp(leaf)])).toThrow(broken);
    expect(() => walk('abcd')).toThrow(broken);
    for (const node of [[], [NONE], [NONE, NONE, NONE]]) expect(() => walk('abcd', node)).toThrow(broken);
    // Large enough to stand alone.
    expect(() => walk('ad', branch({ 10: [fromHex('3d'), VALUE] }))).toThrow(broken);
    // An extension without a path, a flag that is none, padding that is not zero.
    for (const path of ['00', '40abcd', '21abcd']) {
      expect(() => walk('abcd', [fromHex(path), keccak256(encodeRlp(leaf))], leaf)).toThrow(broken);
    }
    for (const path of ['40abcd', '21abcd', '2fabcd', '60abcd']) {
      expect(() => walk('abcd', [fromHex(path), VALUE])).toThrow(broken);
    }
    expect(() => walk('abcd', [fromHex('20abcd'), NONE])).toThrow(broken);
  });
});
