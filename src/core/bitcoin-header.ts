// Bitcoin block headers: 80 bytes, integers little-endian.

import { sha256 } from '#sha256';
import { toHex } from './bytes.ts';
import { FormatError } from './errors.ts';

export const HEADER_SIZE = 80;

export interface BitcoinHeader {
  /** Hash of the block before: hex in RPC order. */
  readonly previous: string;
  /** 32 bytes in the order of the header and of timestamps, not in RPC order. */
  readonly merkleRoot: Uint8Array;
  /** Milliseconds since the Unix epoch, of whole seconds; miners may be off by about two hours. */
  readonly time: number;
  /** Double SHA-256 of the 80 bytes: hex in RPC order. */
  readonly hash: string;
}

/** @throws FormatError `header-length` */
export function parseHeader(bytes: Uint8Array): BitcoinHeader {
  if (bytes.length !== HEADER_SIZE) {
    throw new FormatError(
      'header-length',
      `the header of a Bitcoin block has ${HEADER_SIZE} bytes, not ${bytes.length}`,
    );
  }
  const seconds = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(68, true);
  return {
    previous: rpcOrder(bytes.subarray(4, 36)),
    merkleRoot: bytes.slice(36, 68),
    time: seconds * 1000,
    hash: rpcOrder(sha256(sha256(bytes))),
  };
}

/** A hash as Bitcoin's tools write it: hex, the last byte first. */
export function rpcOrder(hash: Uint8Array): string {
  return toHex(hash.toReversed());
}

/** CAIP-2 id of the chain that begins with this block (BIP 122). @param genesis hash in RPC order */
export function bitcoinChain(genesis: string): string {
  return `bip122:${genesis.slice(0, 32)}`;
}

/** Bitcoin itself, not one of its test networks. */
export const BITCOIN = 'bip122:000000000019d6689c085ae165831e93';

/** The test network that anyone can start; its first block is always the same. */
export const REGTEST = 'bip122:0f9188f13cb7b2c71f2a335e3a4fc328';
