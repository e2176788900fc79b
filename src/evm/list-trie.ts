// The tries under a block header that hold its lists: RLP of the index → value (Ethereum yellow paper, appendix D).

import { indexKey } from '../core/evm-proof.ts';
import { keccak256 } from '../core/keccak.ts';
import { encodeRlp, type Rlp } from '../core/rlp.ts';
import { nibbles } from '../core/trie.ts';

interface Item {
  readonly path: readonly number[];
  readonly value: Uint8Array;
}

interface Node {
  readonly rlp: Rlp;
  readonly bytes: Uint8Array;
  /** The nodes below by the nibbles that lead to them; one alone for an extension, none for a leaf. */
  readonly below: readonly { readonly path: readonly number[]; readonly node: Node }[];
}

/** All transactions of a block, or all its receipts. */
export class ListTrie {
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly #values: readonly Uint8Array[];
  readonly #top: Node | null;

  constructor(values: readonly Uint8Array[]) {
    this.#values = values;
    this.#top =
      values.length === 0
        ? null
        : build(
            values.map((value, i) => ({ path: keyOf(i), value })),
            0,
          );
    this.root = keccak256(this.#top?.bytes ?? encodeRlp(new Uint8Array(0)));
  }

  /** The value at an index, `undefined` beyond the last. */
  value(index: number): Uint8Array | undefined {
    return this.#values[index];
  }

  /** Encoded nodes from the root to the value at `index`, without those that stand in the node above themselves. */
  prove(index: number): Uint8Array[] {
    const path = keyOf(index);
    const proof: Uint8Array[] = [];
    let depth = 0;
    for (let node = this.#top; node !== null; ) {
      if (proof.length === 0 || node.bytes.length >= 32) proof.push(node.bytes);
      const step: Node['below'][number] | undefined = node.below.find((each) => startsWith(path, depth, each.path));
      depth += step?.path.length ?? 0;
      node = step?.node ?? null;
    }
    return proof;
  }
}

const keyOf = (index: number): number[] => nibbles(indexKey(index));

const startsWith = (path: readonly number[], depth: number, part: readonly number[]): boolean =>
  part.every((nibble, i) => path[depth + i] === nibble);

/** No key is the beginning of another, so no branch bears a value. */
function build(items: readonly Item[], depth: number): Node {
  const [first, ...others] = items;
  if (first === undefined) throw new RangeError('a trie node without items');
  if (others.length === 0) return nodeOf([packPath(first.path.slice(depth), true), first.value], []);
  let shared = 0;
  while (others.every(({ path }) => path[depth + shared] === first.path[depth + shared])) shared++;
  if (shared > 0) {
    const path = first.path.slice(depth, depth + shared);
    const node = build(items, depth + shared);
    return nodeOf([packPath(path, false), reference(node)], [{ path, node }]);
  }
  const groups = Map.groupBy(items, ({ path }) => path[depth] ?? 0);
  const below = [...groups].map(([nibble, group]) => ({ path: [nibble], node: build(group, depth + 1) }));
  const rlp: Rlp[] = Array.from({ length: 17 }, () => new Uint8Array(0));
  for (const { path, node } of below) rlp[path[0] ?? 0] = reference(node);
  return nodeOf(rlp, below);
}

function nodeOf(rlp: Rlp, below: Node['below']): Node {
  return { rlp, bytes: encodeRlp(rlp), below };
}

function reference({ rlp, bytes }: Node): Rlp {
  return bytes.length < 32 ? rlp : keccak256(bytes);
}

/** Hex-prefix encoding (appendix C). */
function packPath(path: readonly number[], ends: boolean): Uint8Array {
  const odd = path.length % 2;
  const flag = (ends ? 2 : 0) + odd;
  const all = odd === 1 ? [flag, ...path] : [flag, 0, ...path];
  return Uint8Array.from({ length: all.length / 2 }, (_, i) => ((all[2 * i] ?? 0) << 4) | (all[2 * i + 1] ?? 0));
}
