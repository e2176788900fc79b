// Merkle Patricia tries (Ethereum yellow paper, appendix D): the walk from a root down to a value.

import { equalBytes } from './bytes.ts';
import { FormatError } from './errors.ts';
import { keccak256 } from './keccak.ts';
import { bytesOf, decodeRlpList, encodeRlp, type Rlp } from './rlp.ts';

/**
 * The value under `key`, by the encoded nodes from the root to it. Each must have the hash that the node above names, and
 * none may be left over.
 * @throws FormatError `trie-broken`, `rlp-invalid`
 */
export function walkTrie(root: Uint8Array, key: Uint8Array, nodes: readonly Uint8Array[]): Uint8Array {
  const path = nibbles(key);
  const rest = nodes.values();
  const open = (hash: Uint8Array): Rlp[] => {
    const { value } = rest.next();
    if (value === undefined || !equalBytes(keccak256(value), hash)) throw broken('a node is missing or another');
    return decodeRlpList(value);
  };
  let node = open(root);
  let depth = 0;
  for (;;) {
    let next: Rlp | undefined;
    if (node.length === 17) {
      if (depth === path.length) return last(node[16], rest);
      next = node[path[depth] ?? 0];
      depth += 1;
    } else if (node.length === 2) {
      const part = partOf(bytesOf(node[0]));
      if (!part.path.every((nibble, i) => path[depth + i] === nibble)) throw broken('the key is not in it');
      depth += part.path.length;
      if (part.ends) {
        if (depth !== path.length) throw broken('the key is not in it');
        return last(node[1], rest);
      }
      if (part.path.length === 0) throw broken('an extension without a path');
      next = node[1];
    } else throw broken(`a node of ${node.length} items`);
    node = child(next, open);
  }
}

/** A node below 32 bytes is part of its parent, in place of its hash. */
function child(item: Rlp | undefined, open: (hash: Uint8Array) => Rlp[]): Rlp[] {
  if (!Array.isArray(item)) {
    const hash = bytesOf(item);
    if (hash.length !== 32) throw broken('the key is not in it');
    return open(hash);
  }
  if (encodeRlp(item).length >= 32) throw broken('a node inside another that should be separate');
  return item;
}

function last(value: Rlp | undefined, rest: Iterator<Uint8Array>): Uint8Array {
  const bytes = bytesOf(value);
  if (bytes.length === 0) throw broken('the key is not in it');
  if (rest.next().done !== true) throw broken('nodes are left over');
  return bytes;
}

/** Hex-prefix encoding (appendix C): a flag for the kind of node and the oddness of the path, then the path. */
function partOf(bytes: Uint8Array): { readonly ends: boolean; readonly path: number[] } {
  const [flag = 16, second, ...others] = nibbles(bytes);
  if (flag > 3 || (flag % 2 === 0 && second !== 0)) throw broken('a path in another form');
  return { ends: flag >= 2, path: flag % 2 === 0 ? others : [second ?? 0, ...others] };
}

/** Half-bytes, the high one first. */
export function nibbles(bytes: Uint8Array): number[] {
  return [...bytes].flatMap((byte) => [byte >> 4, byte & 15]);
}

function broken(why: string): FormatError {
  return new FormatError('trie-broken', `a trie proof that does not hold: ${why}`);
}
