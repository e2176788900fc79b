import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, toBase64, toHex } from '../../src/core/bytes.ts';
import { FormatError } from '../../src/core/errors.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { packPath, walkPath } from '../../src/core/path.ts';
import {
  knownAnchors,
  MAX_RECEIPT_TEXT,
  parseReceipt,
  parseReceiptText,
  type Receipt,
  receiptPath,
  storedReceiptPath,
} from '../../src/core/receipt.ts';
import type { RoundReceipt } from '../../src/core/receipt-schema.ts';
import { formatTime } from '../../src/core/time.ts';
import { MemoryLog, provenReceipt, seeded } from '../support/receipts.ts';
import { formatsVector } from '../support/vectors.ts';

const { receipt, anchor, log } = provenReceipt();
const pending = log.receipt(3);

const edited = (edit: (copy: RoundReceipt) => void): RoundReceipt => {
  const copy = structuredClone(receipt);
  edit(copy);
  return copy;
};

describe('reading', () => {
  test.each<[string, Receipt]>([
    ['with a round and an anchor', receipt],
    ['before its round', pending],
    ['before its round, with a date', { ...pending, expectedBy: formatTime(0) }],
    ['with a round and no anchor', { ...receipt, anchors: [] }],
    ['with a date beside its anchors', { ...receipt, expectedBy: formatTime(1) }],
  ])('%s', (_, value) => {
    expect(parseReceipt(value)).toEqual(value);
    expect(parseReceiptText(JSON.stringify(value, null, 2))).toEqual(value);
  });

  const { block, ...sent } = anchor;
  const proof = { header: '0xc0', index: 0, transaction: ['0xc0'], receipt: ['0xc0'], logIndex: 0 };
  const bitcoin = { chain: `bip122:${'0'.repeat(32)}`, height: 1, header: '00'.repeat(80), time: formatTime(0) };
  const timestamp = toBase64(seeded('timestamp'));
  const ots = { type: 'opentimestamps', timestamp };
  test.each<[string, unknown]>([
    ['submitted', { ...sent, status: 'submitted' }],
    ['included', { ...sent, status: 'included', block }],
    ['finalized with proof', { ...sent, status: 'finalized', block, proof }],
    ['OpenTimestamps pending', { ...ots, status: 'pending' }],
    ['OpenTimestamps pending, with the empty list', { ...ots, status: 'pending', blocks: [] }],
    ['OpenTimestamps confirmed', { ...ots, status: 'confirmed', blocks: [bitcoin] }],
  ])('an anchor %s', (_, each) => {
    expect(parseReceipt({ ...receipt, anchors: [each] })).toEqual({ ...receipt, anchors: [each] });
  });

  test.each<[string, unknown]>([
    ['submitted that names a block', { ...sent, status: 'submitted', block }],
    ['included without a block', { ...sent, status: 'included' }],
    ['on a chain that is not of EVM', { ...anchor, chain: 'bip122:00' }],
    ['with a checksummed address', { ...anchor, contract: `0x${'5A'.repeat(20)}` }],
    ['OpenTimestamps confirmed nowhere', { ...ots, status: 'confirmed', blocks: [] }],
    ['OpenTimestamps pending in a block', { ...ots, status: 'pending', blocks: [bitcoin] }],
    ['OpenTimestamps without end', { ...ots, status: 'pending', timestamp: 'A'.repeat(87_388) }],
    ['whose proof has a node too long', { ...anchor, proof: { ...proof, receipt: [`0x${'00'.repeat(16_385)}`] } }],
    ['whose proof has too many nodes', { ...anchor, proof: { ...proof, receipt: Array(33).fill('0xc0') } }],
  ])('no anchor %s', (_, each) => {
    expect(() => parseReceipt({ ...receipt, anchors: [each] })).toThrow(/anchors\.0/);
  });

  test.each<[string, unknown, string]>([
    ['no object', 'text', 'not a JSON object'],
    ['no format', { ...receipt, format: undefined }, 'format'],
    ['another format', { ...receipt, format: 'antequem-receipt/v2' }, 'format'],
    ['an unknown field', { ...receipt, comment: '' }, '"comment"'],
    ['anchors without a round', { ...pending, anchors: [] }, 'anchors'],
    ['a round without anchors', { ...pending, round: receipt.round }, 'anchors'],
    ['an index below zero', edited((copy) => Object.assign(copy.entry, { index: -1 })), 'entry.index'],
    ['an index of 2^53', edited((copy) => Object.assign(copy.entry, { index: 2 ** 53 })), 'entry.index'],
    ['half an index', edited((copy) => Object.assign(copy.entry, { index: 0.5 })), 'entry.index'],
    ['an index as text', edited((copy) => Object.assign(copy.entry, { index: '5' })), 'entry.index'],
    ['a short digest', edited((copy) => Object.assign(copy.entry, { digest: '00' })), 'entry.digest'],
    ['a digest in capitals', edited((copy) => Object.assign(copy.entry, { digest: 'AB'.repeat(32) })), 'entry.digest'],
    [
      'a digest and a newline',
      edited((copy) => Object.assign(copy.entry, { digest: `${'0'.repeat(64)}\n` })),
      'digest',
    ],
    ['a nonce of 15 bytes', edited((copy) => Object.assign(copy.entry, { nonce: '00'.repeat(15) })), 'entry.nonce'],
    ['no log', edited((copy) => Object.assign(copy.entry, { log: 'log.example.org' })), 'entry.log'],
    [
      'a day that does not exist',
      edited((copy) => Object.assign(copy.entry, { receivedAt: '2026-02-30T00:00:00.000Z' })),
      'entry.receivedAt',
    ],
    [
      'a time without milliseconds',
      edited((copy) => Object.assign(copy.round, { closedAt: '2026-02-03T00:00:00Z' })),
      'round.closedAt',
    ],
    [
      'a long path',
      edited((copy) => Object.assign(copy.inclusion, { path: Array(54).fill('0'.repeat(64)) })),
      'inclusion.path',
    ],
    ['a round of its link alone', edited((copy) => Object.assign(copy.round, { size: 1 })), 'round.size'],
    ['the place of the link', edited((copy) => Object.assign(copy.round, { index: 0 })), 'round.index'],
    [
      'a fourth beacon',
      edited((copy) => copy.round.link.beacons.push(...structuredClone(copy.round.link.beacons))),
      'round.link.beacons',
    ],
    ['a seventeenth anchor', { ...receipt, anchors: Array(17).fill(anchor) }, 'anchors'],
    ['a long checkpoint', { ...receipt, checkpoint: 'x'.repeat(262_145) }, 'checkpoint'],
  ])('refused: %s', (_, value, place) => {
    expect(() => parseReceipt(value)).toThrow(FormatError);
    expect(() => parseReceipt(value)).toThrow(expect.objectContaining({ code: 'receipt-invalid' }));
    expect(() => parseReceipt(value)).toThrow(place);
  });

  test('refused: text that is too long, nested too deep, or not JSON', () => {
    const texts = [' '.repeat(MAX_RECEIPT_TEXT + 1), '['.repeat(100_000), `{"a":`.repeat(9), '{', ''];
    for (const text of texts) {
      expect(() => parseReceiptText(text)).toThrow(expect.objectContaining({ code: 'receipt-invalid' }));
    }
    expect(parseReceiptText(`${' '.repeat(1000)}${JSON.stringify({ ...pending })}`)).toEqual(pending);
  });

  test('brackets and quotes within strings do not count as nesting', () => {
    const text = JSON.stringify({ ...pending, checkpoint: `${'[{"\\'.repeat(50)}` });
    expect(parseReceiptText(text).checkpoint).toBe('[{"\\'.repeat(50));
  });

  const onlyFormatErrors = (read: () => unknown): void => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  };

  test('for any JSON, only a FormatError is thrown', () => {
    const json = fc.jsonValue({ maxDepth: 6 });
    fc.assert(
      fc.property(json, (value) => onlyFormatErrors(() => parseReceipt(value))),
      { numRuns: 10_000 },
    );
  });

  test('for any replacement of any part of a receipt, only a FormatError is thrown', () => {
    const places: (readonly string[])[] = [];
    const walk = (value: unknown, at: readonly string[]): void => {
      if (at.length > 0) places.push(at);
      if (typeof value === 'object' && value !== null) {
        for (const [key, each] of Object.entries(value)) walk(each, [...at, key]);
      }
    };
    walk(receipt, []);
    const replaced = (value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown => {
      if (key === undefined) return by;
      if (Array.isArray(value)) return value.map((each, i) => (String(i) === key ? replaced(each, rest, by) : each));
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, k === key ? replaced(v, rest, by) : v]));
    };
    const strange = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(-0, 2 ** 53 - 1, '', '__proto__', '0x'));
    fc.assert(
      fc.property(fc.constantFrom(...places), strange, (at, by) => {
        onlyFormatErrors(() => {
          const read = parseReceipt(replaced(receipt, at, by));
          if ('round' in read) receiptPath(read);
        });
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('the path of a receipt', () => {
  test('leads from the digest to the root of the round', () => {
    const { digest, steps, root } = receiptPath(receipt);
    expect(toHex(digest)).toBe(receipt.entry.digest);
    expect(toHex(root)).toBe(receipt.round.root);
    expect(walkPath(digest, steps)).toEqual(root);
  });

  test('does not exist before the round has closed', () => {
    expect(() => receiptPath(pending)).toThrow(expect.objectContaining({ code: 'receipt-pending' }));
    expect(() => receiptPath(pending)).toThrow('entry 3 of log.example.org/logs/payments');
    expect(() => storedReceiptPath(pending)).toThrow(expect.objectContaining({ code: 'receipt-pending' }));
    expect(knownAnchors(pending)).toEqual([]);
    expect(storedReceiptPath(receipt)).toEqual(receiptPath(receipt));
  });

  test('is refused if a proof has a wrong length', () => {
    const short = edited((copy) => copy.round.path.pop());
    expect(() => receiptPath(short)).toThrow(expect.objectContaining({ code: 'path-length' }));
  });

  test('is the one of the vector', () => {
    const vector = formatsVector.parse(
      JSON.parse(readFileSync(new URL('../vectors/formats.json', import.meta.url), 'utf8')),
    );
    const { entries, round, path, checkpoint, origin } = vector;
    const entry = entries[path.entryIndex];
    if (entry === undefined) throw new Error('no such entry');
    const tree = new MerkleTree(concat(...entries.map(({ leafHash }) => fromHex(leafHash))));
    const rounds = new MerkleTree(concat(...round.leaves.map((leaf) => hashLeaf(fromHex(leaf)))));
    const { number, closedAt, previousRoot, beacons } = round;
    const found = receiptPath(
      parseReceipt({
        format: 'antequem-receipt/v1',
        entry: {
          log: origin,
          index: entry.index,
          receivedAt: formatTime(entry.receivedAt),
          digest: entry.digest,
          nonce: entry.nonce,
          previous: entry.previous,
        },
        inclusion: { treeSize: checkpoint.size, path: tree.inclusionPath(entry.index).map(toHex) },
        checkpoint: 'not looked at',
        round: {
          number,
          closedAt: formatTime(closedAt),
          root: round.root,
          size: round.leaves.length,
          index: round.checkpointIndex,
          path: rounds.inclusionPath(round.checkpointIndex).map(toHex),
          link: { previousRoot, beacons, path: rounds.inclusionPath(0).map(toHex) },
        },
        anchors: [],
      }),
    );
    expect(toHex(packPath(found.steps))).toBe(path.packed);
    expect(toHex(found.root)).toBe(path.root);
  });

  test('is the same for every entry of every size, blinded or not', () => {
    const growing = new MemoryLog('growing');
    for (let n = 0; n < 20; n++) growing.append(`line ${n}`, n % 3 === 0 ? { nonce: new Uint8Array(0) } : {});
    for (let n = 0; n < 20; n++) {
      const of = { ...receipt, ...growing.receipt(n) };
      const { steps, digest } = receiptPath(of);
      const toLogRoot = steps.slice(0, 2 + of.inclusion.path.length);
      expect(walkPath(digest, toLogRoot)).toEqual(growing.tree.root());
    }
  });
});
