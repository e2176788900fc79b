// Block headers as nodes tell them in JSON, back in the bytes that the chain hashed.

import { equalBytes } from '../core/bytes.ts';
import { keccak256 } from '../core/keccak.ts';
import { encodeRlp } from '../core/rlp.ts';
import { data, encodeFields, type Field, isObject, memberOf, optional, quantity } from './json-fields.ts';

/** Those of the first block. Some nodes leave out the last two where they are zeros. */
const OLDEST: readonly Field[] = [
  ['parentHash', data],
  ['sha3Uncles', data],
  ['miner', data],
  ['stateRoot', data],
  ['transactionsRoot', data],
  ['receiptsRoot', data],
  ['logsBloom', data],
  ['difficulty', quantity],
  ['number', quantity],
  ['gasLimit', quantity],
  ['gasUsed', quantity],
  ['timestamp', quantity],
  ['extraData', data],
  ['mixHash', optional(data, new Uint8Array(32))],
  ['nonce', optional(data, new Uint8Array(8))],
];

/** What forks added behind them. A fork that adds a field costs a line here, and a higher `ENCODER_VERSION`. */
const ADDED: readonly Field[] = [
  ['baseFeePerGas', quantity], // London
  ['withdrawalsRoot', data], // Shanghai
  ['blobGasUsed', quantity], // Cancun
  ['excessBlobGas', quantity],
  ['parentBeaconBlockRoot', data],
  ['requestsHash', data], // Prague
  ['blockAccessListHash', data], // Amsterdam
  ['slotNumber', quantity],
];

/** What else stands in the JSON of blocks, beside the header. */
const BESIDE = new Set([
  'author',
  'blockExtraData',
  'hash',
  'l1BlockNumber',
  'milliTimestamp',
  'requests',
  'sealFields',
  'sendCount',
  'sendRoot',
  'size',
  'totalDifficulty',
  'transactions',
  'uncles',
  'withdrawals',
]);

/**
 * The header in RLP whose Keccak hash that is; null where the members that are known here do not lead to it. Which fork a
 * block is of need not be known: nodes may show fields that its header does not have, so the newest are left off one by one.
 * @param hash 32 bytes
 */
export function encodeHeader(json: unknown, hash: Uint8Array): Uint8Array | null {
  const oldest = encodeFields(json, OLDEST);
  if (oldest === null) return null;
  // RLP has an empty string for a field that is missing while one behind it is there.
  const added = encodeFields(
    json,
    ADDED.map(([name, form]) => [name, optional(form)]),
  );
  for (let count = added?.length ?? 0; count >= 0; count--) {
    const isThere = count === 0 || memberOf(json, ADDED[count - 1]?.[0] ?? '') !== undefined;
    if (!isThere) continue;
    const header = encodeRlp([...oldest, ...(added ?? []).slice(0, count)]);
    if (equalBytes(keccak256(header), hash)) return header;
  }
  return null;
}

/** The members of a block's JSON that no release up to this one knows: what a later fork added, or another kind of chain. */
export function unknownMembers(json: unknown): string[] {
  const known = new Set([...BESIDE, ...[...OLDEST, ...ADDED].flatMap(([names]) => names)]);
  if (!isObject(json)) return [];
  return Object.keys(json).filter((name) => !known.has(name) && /^[A-Za-z][A-Za-z0-9]{0,40}$/.test(name));
}
