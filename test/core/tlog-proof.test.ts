import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, toBase64, toHex } from '../../src/core/bytes.ts';
import { entryLeafHash } from '../../src/core/entry.ts';
import { verifyInclusion } from '../../src/core/proof.ts';
import { receiptLeafHash } from '../../src/core/receipt.ts';
import {
  formatTlogProof,
  isTlogProof,
  parseTlogProof,
  receiptTlogProof,
  tlogProofEntry,
} from '../../src/core/tlog-proof.ts';
import { MemoryLog, provenReceipt } from '../support/receipts.ts';

const { receipt } = provenReceipt();
const proof = receiptTlogProof(receipt);
const text = formatTlogProof(proof);

test('a proof is written as the specification shows it', () => {
  const lines = text.split('\n');
  expect(lines[0]).toBe('c2sp.org/tlog-proof@v1');
  expect(lines[1]).toMatch(/^extra [A-Za-z0-9+/]+=*$/);
  expect(lines[2]).toBe(`index ${receipt.entry.index}`);
  const { path } = receipt.inclusion;
  expect(lines.slice(3, 3 + path.length)).toEqual(path.map((hash) => Buffer.from(hash, 'hex').toString('base64')));
  expect(lines.slice(3 + path.length).join('\n')).toBe(`\n${receipt.checkpoint}`);
});

test('and comes back', () => {
  const parsed = parseTlogProof(text);
  expect(parsed).toMatchObject({ ...proof, head: { origin: receipt.entry.log, size: receipt.inclusion.treeSize } });
  const own = tlogProofEntry(parsed);
  if (own === null) throw new Error('no entry of ours');
  const { entry, nonce } = own;
  expect(toHex(nonce)).toBe(receipt.entry.nonce);
  expect(entryLeafHash(entry)).toEqual(receiptLeafHash(receipt));
  const { index, path, head } = parsed;
  expect(verifyInclusion(entryLeafHash(entry), index, head.size, path, head.root)).toBe(true);
});

test('any comes back, without extra data too', () =>
  fc.assert(
    fc.property(
      fc.nat(Number.MAX_SAFE_INTEGER),
      fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 63 }),
      fc.option(fc.uint8Array({ maxLength: 200 })),
      (index, path, extra) => {
        const any = { index, path, extra, checkpoint: receipt.checkpoint };
        expect(parseTlogProof(formatTlogProof(any))).toMatchObject(any);
      },
    ),
    { numRuns: 200 },
  ));

test('of the only entry of an unblinded log', () => {
  const log = new MemoryLog('bare');
  log.append('one', { nonce: new Uint8Array(0) });
  const bare = formatTlogProof(receiptTlogProof(log.receipt(0)));
  expect(bare).toMatch(/^c2sp\.org\/tlog-proof@v1\nextra [^\n]+\nindex 0\n\nlog\.example\.org\/logs\/bare\n1\n/);
  expect(tlogProofEntry(parseTlogProof(bare))?.nonce).toEqual(new Uint8Array(0));
});

describe('is none:', () => {
  const hash = toBase64(new Uint8Array(32));
  const head = text.slice(0, text.indexOf('\n\n') + 1);
  test.each([
    ['nothing', '', 'tlog-proof-invalid'],
    ['another version', text.replace('@v1', '@v2'), 'tlog-proof-invalid'],
    ['no version', text.slice(text.indexOf('\n') + 1), 'tlog-proof-invalid'],
    ['no index', text.replace(/index .*\n/, ''), 'tlog-proof-invalid'],
    ['two indices', text.replace(/(index .*\n)/, '$1$1'), 'base64-invalid'],
    ['a leading zero', text.replace('index ', 'index 0'), 'tlog-proof-invalid'],
    ['a negative index', text.replace('index ', 'index -'), 'tlog-proof-invalid'],
    ['an index of 2^53', text.replace(/index .*/, 'index 9007199254740992'), 'tlog-proof-invalid'],
    ['a space after the index', text.replace(/(index .*)/, '$1 '), 'tlog-proof-invalid'],
    ['a carriage return', text.replaceAll('\n', '\r\n'), 'tlog-proof-invalid'],
    ['extra data behind the index', text.replace(/(extra .*\n)(index .*\n)/, '$2$1'), 'base64-invalid'],
    ['extra data twice', text.replace(/(extra .*\n)/, '$1$1'), 'tlog-proof-invalid'],
    ['extra data that are not base64', text.replace(/extra .*/, 'extra !'), 'base64-invalid'],
    [
      '16,385 bytes of extra data',
      text.replace(/extra .*/, `extra ${toBase64(new Uint8Array(16_385))}`),
      'tlog-proof-invalid',
    ],
    ['a hash of 31 bytes', text.replace(/(index .*\n)/, `$1${toBase64(new Uint8Array(31))}\n`), 'tlog-proof-invalid'],
    ['64 hashes', text.replace(/(index .*\n)/, `$1${`${hash}\n`.repeat(64)}`), 'tlog-proof-invalid'],
    ['no blank line', text.replace('\n\n', '\n'), 'base64-invalid'],
    ['no checkpoint', `${head}\n`, 'note-invalid'],
    ['a checkpoint without signature', text.slice(0, text.lastIndexOf('—')), 'note-invalid'],
    ['a note that is no checkpoint', text.replace('\n13\n', '\nthirteen\n'), 'checkpoint-invalid'],
    ['too long', `${text}${'x'.repeat(327_680)}`, 'tlog-proof-invalid'],
  ])('%s', (_, broken, code) => {
    expect(broken).not.toBe(text);
    expect(() => parseTlogProof(broken)).toThrow(expect.objectContaining({ name: 'FormatError', code }));
  });

  test('extra data that are not ours', () => {
    const extras = [
      null,
      new Uint8Array(0),
      new Uint8Array(72),
      new Uint8Array(74),
      fromHex('01'.repeat(88)),
      new Uint8Array(90),
    ];
    const versioned = concat(new Uint8Array([2]), (proof.extra ?? new Uint8Array(0)).slice(1));
    for (const extra of [...extras, versioned]) expect(tlogProofEntry({ ...proof, extra })).toBeNull();
  });

  test('what begins otherwise does not say it is one', () => {
    expect([isTlogProof(text), isTlogProof('{}'), isTlogProof('c2sp.org/tlog-proof@v1x\n')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
