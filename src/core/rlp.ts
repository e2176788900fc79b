// Canonical RLP (Ethereum yellow paper, appendix B).

import { decode, encode } from '@ethereumjs/rlp';
import { equalBytes } from './bytes.ts';
import { FormatError } from './errors.ts';

export type Rlp = Uint8Array | Rlp[];

export function encodeRlp(item: Rlp): Uint8Array {
  return encode(item);
}

/**
 * Decodes bytes from outside, at most some tens of thousands. Encodings that are not canonical are refused.
 * @throws FormatError `rlp-invalid`
 */
export function decodeRlp(bytes: Uint8Array): Rlp {
  let item: Rlp;
  let again: Uint8Array;
  try {
    item = decode(bytes);
    again = encode(item);
  } catch (cause) {
    // Thousands of nested lists exhaust the stack: that is caught here, too.
    throw new FormatError('rlp-invalid', 'not RLP', { cause });
  }
  if (!equalBytes(bytes, again)) throw new FormatError('rlp-invalid', 'RLP, but not in its canonical form');
  return item;
}

/** The items of a list. @throws FormatError `rlp-invalid` */
export function decodeRlpList(bytes: Uint8Array): Rlp[] {
  return listOf(decodeRlp(bytes));
}

/** @throws FormatError `rlp-invalid` where it is no list */
export function listOf(item: Rlp | undefined): Rlp[] {
  if (!Array.isArray(item)) throw new FormatError('rlp-invalid', 'RLP without a list that belongs there');
  return item;
}

/** @throws FormatError `rlp-invalid` where it is no byte string, or not of that length */
export function bytesOf(item: Rlp | undefined, length?: number): Uint8Array {
  if (!(item instanceof Uint8Array) || (length !== undefined && item.length !== length)) {
    throw new FormatError('rlp-invalid', 'RLP without a byte string that belongs there');
  }
  return item;
}

/** A whole number below 2^256, big-endian without leading zeros. @throws FormatError `rlp-invalid` */
export function integerOf(item: Rlp | undefined): bigint {
  const bytes = bytesOf(item);
  if (bytes.length > 32 || bytes[0] === 0)
    throw new FormatError('rlp-invalid', 'RLP with an integer that is not canonical');
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
