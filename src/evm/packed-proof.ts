// The bytes of a stored proof: what of it is not stored elsewhere, compressed. Much of it is known: the signed transaction stands
// in its own row, and the rest repeats that, or is what most blocks have. Both serve as a dictionary.

import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { ANCHORED_TOPIC } from '../core/anchored-event.ts';
import { concat, fromHex } from '../core/bytes.ts';
import { parsed } from '../core/errors.ts';
import { bytesOf, decodeRlpList, encodeRlp, listOf } from '../core/rlp.ts';

/** Nodes lead from the root of a trie down. What the row of the block has is left out. */
export interface ProofParts {
  /** RLP; empty: the row of the block has it. */
  readonly header: Uint8Array;
  readonly transaction: readonly Uint8Array[];
  readonly receipt: readonly Uint8Array[];
}

/** The first byte. A dictionary never changes: what was stored with it is read with it. */
const PACKING = 1;
const MOST_BYTES = 1 << 20;
const COMPRESSION = { [constants.ZSTD_c_compressionLevel]: 12, [constants.ZSTD_c_checksumFlag]: 1 };

/** What headers and receipts have: the hash of no uncles, the root of no transactions, the hash of no requests, an empty bloom. */
const COMMON: Uint8Array = concat(
  new Uint8Array(512),
  fromHex('56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'),
  fromHex('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'),
  fromHex('1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'),
  fromHex(ANCHORED_TOPIC.slice(2)),
);

/** @param raw the signed transaction, as its row has it */
export function packProof({ header, transaction, receipt }: ProofParts, raw: Uint8Array): Buffer {
  const whole = encodeRlp([header, [...transaction], [...receipt]]);
  const options = { params: COMPRESSION, dictionary: concat(COMMON, raw) };
  return Buffer.concat([Buffer.of(PACKING), zstdCompressSync(whole, options)]);
}

/** Null: it is damaged, or was packed with another transaction. */
export function unpackProof(packed: Uint8Array, raw: Uint8Array): ProofParts | null {
  if (packed[0] !== PACKING) return null;
  let whole: Uint8Array;
  try {
    const options = { dictionary: concat(COMMON, raw), maxOutputLength: MOST_BYTES };
    whole = new Uint8Array(zstdDecompressSync(packed.subarray(1), options));
  } catch {
    return null;
  }
  return parsed(() => {
    const [header, transaction, receipt] = decodeRlpList(whole);
    const nodes = [transaction, receipt].map((path) => listOf(path).map((node) => bytesOf(node)));
    return { header: bytesOf(header), transaction: nodes[0] ?? [], receipt: nodes[1] ?? [] };
  });
}
