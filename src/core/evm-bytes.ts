// Reads headers, transactions and receipts from the bytes that EVM chains hash.

import { prefixedHex } from './bytes.ts';
import { FormatError } from './errors.ts';
import type { EvmLog } from './evm-source.ts';
import { keccak256 } from './keccak.ts';
import { bytesOf, decodeRlpList, integerOf, listOf, type Rlp } from './rlp.ts';
import { MAX_TIME } from './time.ts';

export interface EvmHeader {
  readonly number: number;
  /** Milliseconds since the Unix epoch, of whole seconds. */
  readonly time: number;
  readonly transactionsRoot: Uint8Array;
  readonly receiptsRoot: Uint8Array;
}

/** Fields 0 to 14 have meant the same since the first block; later ones were added behind. */
const OLDEST_FIELDS = 15;

/** @throws FormatError `rlp-invalid` where it is not the header of an Ethereum-like chain */
export function readHeader(bytes: Uint8Array): EvmHeader {
  const fields = decodeRlpList(bytes);
  if (fields.length < OLDEST_FIELDS) throw new FormatError('rlp-invalid', `a header of ${fields.length} fields`);
  const hash = (index: number): Uint8Array => bytesOf(fields[index], 32);
  for (const index of [0, 1, 3]) hash(index);
  bytesOf(fields[2], 20);
  bytesOf(fields[6], 256);
  const time = integerOf(fields[11]) * 1_000n;
  const number = integerOf(fields[8]);
  if (time > BigInt(MAX_TIME) || number > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new FormatError('rlp-invalid', 'a header with a number or time that is none');
  }
  return { number: Number(number), time: Number(time), transactionsRoot: hash(4), receiptsRoot: hash(5) };
}

export interface EvmCall {
  /** 0x-prefixedHex, 32 bytes. */
  readonly hash: string;
  /** 0 to 4. */
  readonly type: number;
  /** CAIP-2; null where the signature holds on any chain (before EIP-155). */
  readonly chain: string | null;
  /** 0x-prefixedHex; null where it creates a contract. */
  readonly to: string | null;
  /** 0x-hex. */
  readonly data: string;
}

/** Where the fields stand; `items` all there are (EIPs 2718, 2930, 1559, 4844, 7702). */
const TYPED: Readonly<Record<number, { readonly to: number; readonly data: number; readonly items: number }>> = {
  1: { to: 4, data: 6, items: 11 },
  2: { to: 5, data: 7, items: 12 },
  3: { to: 5, data: 7, items: 14 },
  4: { to: 5, data: 7, items: 13 },
};

/** The type byte of a transaction or receipt: 0 for one that is a bare list. @throws FormatError `rlp-invalid` */
function typeOf(bytes: Uint8Array): number {
  const [first = 0xff] = bytes;
  if (first >= 0xc0 && first < 0xff) return 0;
  if (first === 0 || first > 0x7f) throw new FormatError('rlp-invalid', 'neither a transaction nor a receipt');
  return first;
}

/** @throws FormatError `rlp-invalid`; `evm-type-unknown` where its type is not 0 to 4 */
export function readTransaction(bytes: Uint8Array): EvmCall {
  const type = typeOf(bytes);
  const hash = prefixedHex(keccak256(bytes));
  if (type === 0) {
    const items = itemsOf(bytes, 9);
    const v = integerOf(items[6]);
    const chain = v >= 35n ? `eip155:${(v - 35n) >> 1n}` : null;
    return { hash, type, chain, to: addressOf(items[3]), data: prefixedHex(bytesOf(items[5])) };
  }
  const places = TYPED[type];
  if (places === undefined) {
    throw new FormatError('evm-type-unknown', `a transaction of type ${type}, of which nothing is known here`);
  }
  const items = itemsOf(bytes.subarray(1), places.items);
  const { to, data } = places;
  return {
    hash,
    type,
    chain: `eip155:${integerOf(items[0])}`,
    to: addressOf(items[to]),
    data: prefixedHex(bytesOf(items[data])),
  };
}

export interface EvmOutcome {
  readonly type: number;
  readonly succeeded: boolean;
  readonly logs: readonly EvmLog[];
}

/** A receipt as the receipts trie has it; of an unknown type too, if it has the common form. @throws FormatError `rlp-invalid` */
export function readEvmReceipt(bytes: Uint8Array): EvmOutcome {
  const type = typeOf(bytes);
  const items = decodeRlpList(type === 0 ? bytes : bytes.subarray(1));
  if (items.length < 4) throw new FormatError('rlp-invalid', `a receipt of ${items.length} items`);
  const status = bytesOf(items[0]);
  const logs = listOf(items[3]).map((log) => {
    const [address, topics, data] = listOf(log);
    return {
      address: prefixedHex(bytesOf(address, 20)),
      topics: listOf(topics).map((topic) => prefixedHex(bytesOf(topic, 32))),
      data: prefixedHex(bytesOf(data)),
    };
  });
  // Before Byzantium a state root stands in its place. Only a transaction that succeeded has logs.
  const succeeded = status.length === 32 ? logs.length > 0 : status.length === 1 && status[0] === 1;
  return { type, succeeded, logs };
}

function itemsOf(bytes: Uint8Array, length: number): Rlp[] {
  const items = decodeRlpList(bytes);
  if (items.length !== length) throw new FormatError('rlp-invalid', `a transaction of ${items.length} items`);
  return items;
}

function addressOf(item: Rlp | undefined): string | null {
  const bytes = bytesOf(item);
  return bytes.length === 0 ? null : prefixedHex(bytesOf(item, 20));
}
