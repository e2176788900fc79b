// Receipts as nodes tell them in JSON, back in the bytes that their block's trie holds.

import { encodeRlp } from '../core/rlp.ts';
import { data, encodeFields, type Field, manyOf, memberOf, optional, quantity, record } from './json-fields.ts';
import { typeOfJson, withType } from './transaction-json.ts';

const STATUS: Field = ['status', quantity];
/** Before Byzantium a root stands in its place. */
const ROOT: Field = ['root', data];
const COMMON: readonly Field[] = [
  ['cumulativeGasUsed', quantity],
  ['logsBloom', data],
  [
    'logs',
    manyOf(
      record([
        ['address', data],
        ['topics', manyOf(data)],
        ['data', data],
      ]),
    ),
  ],
];

/** What some types have behind that, where the last of it is told. */
const MORE: Readonly<Record<number, readonly Field[]>> = {
  // Celo (CIP-64), since it is a rollup.
  123: [['baseFee', quantity]],
  // Deposits of the OP stack: before Canyon the nonce was told and not hashed.
  126: [
    ['depositNonce', optional(quantity)],
    ['depositReceiptVersion', quantity],
  ],
};

/** An unknown type's in the common form; null where JSON does not suffice. */
export function encodeReceipt(json: unknown): Uint8Array | null {
  const type = typeOfJson(json);
  if (type === null) return null;
  const items = encodeFields(json, [outcomeOf(json), ...COMMON, ...moreOf(type, json)]);
  return items === null ? null : withType(type, encodeRlp(items));
}

function outcomeOf(json: unknown): Field {
  if (memberOf(json, 'status') !== undefined) return STATUS;
  if (memberOf(json, 'root') !== undefined) return ROOT;
  // Some nodes tell neither. Only a transaction that succeeded has logs.
  const logs = memberOf(json, 'logs');
  return Array.isArray(logs) && logs.length > 0 ? ['status', optional(quantity, Uint8Array.of(1))] : STATUS;
}

function moreOf(type: number, json: unknown): readonly Field[] {
  const more = MORE[type] ?? [];
  const last = more.at(-1);
  return last === undefined || memberOf(json, last[0]) === undefined ? [] : more;
}
