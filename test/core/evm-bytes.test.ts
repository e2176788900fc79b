// RLP and what is read from it, at its bounds. Real blocks are in test/verify/evm-proof.test.ts.

import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { readEvmReceipt, readHeader, readTransaction } from '../../src/core/evm-bytes.ts';
import { bytesOf, decodeRlp, decodeRlpList, encodeRlp, integerOf, listOf, type Rlp } from '../../src/core/rlp.ts';
import { MAX_TIME } from '../../src/core/time.ts';

const refused = expect.objectContaining({ name: 'FormatError', code: 'rlp-invalid' });
const NONE = new Uint8Array(0);

/** Big-endian without leading zeros. */
function integer(value: bigint): Uint8Array {
  const hex = value === 0n ? '' : value.toString(16);
  return fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
}

describe('RLP', () => {
  test('is decoded to what was encoded', () => {
    const item: Rlp = [fromHex('01'), NONE, [fromHex('80'), [NONE]], new Uint8Array(60).fill(7)];
    expect(decodeRlp(encodeRlp(item))).toEqual(item);
    expect(decodeRlpList(encodeRlp(item))).toEqual(item);
  });

  test.each(['8101', 'b80100', 'c20180ff', '82ff', '', 'f800', 'b90001ff'])('%s is refused', (hex) => {
    expect(() => decodeRlp(fromHex(hex))).toThrow(refused);
  });

  test('has lists, byte strings and integers only where they belong', () => {
    expect(listOf([NONE])).toEqual([NONE]);
    for (const other of [NONE, fromHex('01'), undefined]) expect(() => listOf(other)).toThrow(refused);
    expect(bytesOf(fromHex('0102'), 2)).toEqual(fromHex('0102'));
    for (const other of [[NONE], undefined]) expect(() => bytesOf(other)).toThrow(refused);
    for (const length of [0, 2]) expect(() => bytesOf(fromHex('01'), length)).toThrow(refused);
    expect([integerOf(NONE), integerOf(fromHex('0100')), integerOf(new Uint8Array(32).fill(255))]).toEqual([
      0n,
      256n,
      2n ** 256n - 1n,
    ]);
    for (const other of [fromHex('00'), fromHex('0001'), new Uint8Array(33).fill(1)]) {
      expect(() => integerOf(other)).toThrow(refused);
    }
  });
});

describe('a header', () => {
  const header = (change: Readonly<Record<number, Rlp>> = {}, length = 15): Uint8Array => {
    const fields: Rlp[] = Array.from({ length }, (_, i) => new Uint8Array(32).fill(i + 1));
    const usual: Readonly<Record<number, Rlp>> = {
      2: new Uint8Array(20),
      6: new Uint8Array(256),
      8: integer(9n),
      11: integer(1n),
    };
    for (const [i, item] of Object.entries({ ...usual, ...change })) if (Number(i) < length) fields[Number(i)] = item;
    return encodeRlp(fields);
  };

  test('has a number, a time and two roots, however many fields come behind', () => {
    for (const length of [15, 16, 23]) {
      const { number, time, transactionsRoot, receiptsRoot } = readHeader(header({}, length));
      expect([number, time, toHex(transactionsRoot), toHex(receiptsRoot)]).toEqual([
        9,
        1_000,
        '05'.repeat(32),
        '06'.repeat(32),
      ]);
    }
    expect(() => readHeader(header({}, 14))).toThrow(refused);
  });

  test('has the largest number and time that can be told, and none larger', () => {
    const largest = BigInt(Number.MAX_SAFE_INTEGER);
    const last = BigInt(Math.floor(MAX_TIME / 1_000));
    expect(readHeader(header({ 8: integer(largest) })).number).toBe(Number.MAX_SAFE_INTEGER);
    expect(readHeader(header({ 11: integer(last) })).time).toBe(Number(last) * 1_000);
    expect(() => readHeader(header({ 8: integer(largest + 1n) }))).toThrow(refused);
    expect(() => readHeader(header({ 11: integer(last + 1n) }))).toThrow(refused);
  });

  test.each([0, 1, 2, 3, 4, 5, 6])('is refused where field %i has another length', (i) => {
    expect(() => readHeader(header({ [i]: new Uint8Array(31) }))).toThrow(refused);
    expect(() => readHeader(header({ [i]: [NONE] }))).toThrow(refused);
  });
});

describe('a receipt', () => {
  const log: Rlp = [new Uint8Array(20).fill(1), [new Uint8Array(32).fill(2)], fromHex('03')];

  test('tells whether it succeeded, and its logs', () => {
    const read = readEvmReceipt(encodeRlp([fromHex('01'), NONE, NONE, [log]]));
    expect(read).toEqual({
      type: 0,
      succeeded: true,
      logs: [{ address: `0x${'01'.repeat(20)}`, topics: [`0x${'02'.repeat(32)}`], data: '0x03' }],
    });
    for (const status of [NONE, fromHex('02'), fromHex('0101')]) {
      expect(readEvmReceipt(encodeRlp([status, NONE, NONE, []])).succeeded).toBe(false);
    }
    expect(readEvmReceipt(encodeRlp([fromHex('01'), NONE, NONE, []])).succeeded).toBe(true);
    expect(readEvmReceipt(encodeRlp([NONE, NONE, NONE, [log]])).succeeded).toBe(false);
  });

  test('before Byzantium succeeded if it has logs', () => {
    const stateRoot = new Uint8Array(32).fill(1);
    expect(readEvmReceipt(encodeRlp([stateRoot, NONE, NONE, [log]])).succeeded).toBe(true);
    expect(readEvmReceipt(encodeRlp([stateRoot, NONE, NONE, []])).succeeded).toBe(false);
  });

  test('is refused where something is missing', () => {
    for (const items of [[], [NONE], [NONE, NONE, NONE]]) {
      expect(() => readEvmReceipt(encodeRlp(items))).toThrow(
        expect.objectContaining({ code: 'rlp-invalid', message: `a receipt of ${items.length} items` }),
      );
    }
    const wrong: Rlp[] = [NONE, [[NONE, [], NONE]], [[new Uint8Array(20), [NONE], NONE]]];
    for (const logs of wrong) {
      expect(() => readEvmReceipt(encodeRlp([fromHex('01'), NONE, NONE, logs]))).toThrow(refused);
    }
  });
});

describe('a transaction', () => {
  const address = new Uint8Array(20).fill(7);
  /** By type: how many items it has, and where `to` and the data stand. */
  const FORMS = [
    [0, 9, 3, 5],
    [1, 11, 4, 6],
    [2, 12, 5, 7],
    [3, 14, 5, 7],
    [4, 13, 5, 7],
  ] as const;
  const transaction = (type: number, length: number, change: Readonly<Record<number, Rlp>>): Uint8Array => {
    const items = encodeRlp(Array.from({ length }, (_, i) => change[i] ?? NONE));
    return type === 0 ? items : Uint8Array.from([type, ...items]);
  };

  test.each(FORMS)(
    'of type %i has %i items, the address in place %i, the data in place %i',
    (type, length, to, data) => {
      const chain = type === 0 ? { 6: integer(45n) } : { 0: integer(5n) };
      const bytes = transaction(type, length, { ...chain, [to]: address, [data]: fromHex('0a') });
      expect(readTransaction(bytes)).toMatchObject({
        type,
        chain: 'eip155:5',
        to: `0x${'07'.repeat(20)}`,
        data: '0x0a',
      });
      expect(readTransaction(transaction(type, length, {})).to).toBeNull();
      for (const other of [length - 1, length + 1]) {
        expect(() => readTransaction(transaction(type, other, {}))).toThrow(refused);
      }
      expect(() => readTransaction(transaction(type, length, { [to]: address.slice(1) }))).toThrow(refused);
    },
  );

  test('of before EIP-155 names no chain', () => {
    for (const v of [27n, 28n, 34n]) expect(readTransaction(transaction(0, 9, { 6: integer(v) })).chain).toBeNull();
    expect(readTransaction(transaction(0, 9, { 6: integer(35n) })).chain).toBe('eip155:0');
    expect(readTransaction(transaction(0, 9, { 6: integer(38n) })).chain).toBe('eip155:1');
  });
});

test('neither a transaction nor a receipt begins with 00, 80, bf or ff', () => {
  for (const first of ['00', '80', 'bf', 'ff', '']) {
    expect(() => readTransaction(fromHex(first))).toThrow(refused);
    expect(() => readEvmReceipt(fromHex(first))).toThrow(refused);
  }
  expect(() => readTransaction(fromHex('7f'))).toThrow(expect.objectContaining({ code: 'evm-type-unknown' }));
});
