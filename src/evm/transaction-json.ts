// Transactions as nodes tell them in JSON, back in the bytes that their block's trie holds.

import { concat } from '../core/bytes.ts';
import { encodeRlp } from '../core/rlp.ts';
import { data, encodeFields, type Field, manyOf, memberOf, optional, quantity, record } from './json-fields.ts';

const CHAIN: Field = ['chainId', quantity];
const NONCE: Field = ['nonce', quantity];
const GAS_PRICE: Field = ['gasPrice', quantity];
const GAS: Field = ['gas', quantity];
const FROM: Field = ['from', data];
/** None in a transaction that makes a contract. */
const TO: Field = ['to', optional(data)];
const VALUE: Field = ['value', quantity];
const INPUT: Field = ['input', data];
const CALL: readonly Field[] = [GAS, TO, VALUE, INPUT];

const ACCESS_LIST: Field = [
  'accessList',
  optional(
    manyOf(
      record([
        ['address', data],
        [['storageKeys', 'storage_keys'], manyOf(data)],
      ]),
    ),
    [],
  ),
];
const AUTHORIZATIONS: Field = [
  'authorizationList',
  manyOf(
    record([
      [['chainId', 'chain_id'], quantity],
      ['address', data],
      ['nonce', quantity],
      [['yParity', 'v', 'signature.odd_y_parity'], quantity],
      [['r', 'signature.r'], quantity],
      [['s', 'signature.s'], quantity],
    ]),
  ),
];
const R_AND_S: readonly Field[] = [
  ['r', quantity],
  ['s', quantity],
];
const SIGNATURE: readonly Field[] = [[['yParity', 'v'], quantity], ...R_AND_S];
const FEE_MARKET: readonly Field[] = [
  CHAIN,
  NONCE,
  ['maxPriorityFeePerGas', quantity],
  ['maxFeePerGas', quantity],
  ...CALL,
  ACCESS_LIST,
];

/** Of Arbitrum's own transactions. */
const FEE_CAP: Field = [['maxFeePerGas', 'gasPrice'], quantity];
const REQUEST: Field = ['requestId', data];

/** The fields by type. */
const TYPES: Readonly<Record<number, readonly Field[]>> = {
  0: [NONCE, GAS_PRICE, ...CALL, ['v', quantity], ...R_AND_S],
  // EIPs 2930, 1559, 4844, 7702.
  1: [CHAIN, NONCE, GAS_PRICE, ...CALL, ACCESS_LIST, ...SIGNATURE],
  2: [...FEE_MARKET, ...SIGNATURE],
  3: [...FEE_MARKET, ['maxFeePerBlobGas', quantity], ['blobVersionedHashes', manyOf(data)], ...SIGNATURE],
  4: [...FEE_MARKET, AUTHORIZATIONS, ...SIGNATURE],
  // Arbitrum Nitro: deposits, unsigned calls, calls of contracts, retries and their submission, and its own bookkeeping.
  100: [CHAIN, REQUEST, FROM, TO, VALUE],
  101: [CHAIN, FROM, NONCE, FEE_CAP, ...CALL],
  102: [CHAIN, REQUEST, FROM, FEE_CAP, ...CALL],
  104: [
    CHAIN,
    NONCE,
    FROM,
    FEE_CAP,
    ...CALL,
    ['ticketId', data],
    ['refundTo', data],
    ['maxRefund', quantity],
    ['submissionFeeRefund', quantity],
  ],
  105: [
    CHAIN,
    REQUEST,
    FROM,
    ['l1BaseFee', quantity],
    ['depositValue', quantity],
    FEE_CAP,
    GAS,
    ['retryTo', optional(data)],
    ['retryValue', quantity],
    ['beneficiary', data],
    ['maxSubmissionFee', quantity],
    ['refundTo', data],
    ['retryData', data],
  ],
  106: [CHAIN, INPUT],
  // Celo (CIP-64).
  123: [...FEE_MARKET, ['feeCurrency', optional(data)], ...SIGNATURE],
  // Deposits of the OP stack.
  126: [
    ['sourceHash', data],
    FROM,
    TO,
    ['mint', optional(quantity)],
    VALUE,
    GAS,
    [['isSystemTx', 'isSystemTransaction'], optional(quantity)],
    INPUT,
  ],
};

/** The type of a transaction or receipt; 0 where none is told. Null: not told in the usual form. */
export function typeOfJson(json: unknown): number | null {
  const type = memberOf(json, 'type');
  if (type === undefined) return 0;
  return typeof type === 'string' && /^0x[0-9a-fA-F]{1,2}$/.test(type) ? Number(type) : null;
}

/** Null where the type is not known here, or JSON does not suffice. */
export function encodeTransaction(json: unknown): Uint8Array | null {
  const type = typeOfJson(json);
  const fields = type === null ? undefined : TYPES[type];
  const items = fields === undefined ? null : encodeFields(json, fields);
  return type === null || items === null ? null : withType(type, encodeRlp(items));
}

/** EIP-2718. */
export function withType(type: number, rlp: Uint8Array): Uint8Array {
  return type === 0 ? rlp : concat(Uint8Array.of(type), rlp);
}
