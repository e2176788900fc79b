// Receipts of a newer service: anchors of unknown types, and unknown members of known anchors.

import { describe, expect, test } from 'vitest';
import { parseReceipt, parseReceiptText } from '../../src/core/receipt.ts';
import { mergeReceipt } from '../../src/core/receipt-merge.ts';
import { MAX_ANCHOR_BYTES } from '../../src/core/receipt-schema.ts';
import { type Trust, type Verdict, verify, verifyReceipt } from '../../src/verify/verify.ts';
import { provenReceipt } from '../support/receipts.ts';

const { receipt, anchor, payload, log, round, local, main } = provenReceipt();
const trust: Trust = { key: log.verifierKey, evm: [local, main] };
const [, ...unknown15] = Array.from({ length: 16 }, (_, i) => ({
  type: `kind-${i}`,
  status: 'confirmed',
  token: 'AAAA',
}));
const unknown16 = [...unknown15, { type: '', status: 'finalized', chain: 'eip155:1' }];

/** The receipt's text with these anchors. */
const withAnchors = (...anchors: unknown[]): string => JSON.stringify({ ...receipt, anchors });

const known = ({ claims }: Verdict): unknown[] => claims.filter(({ code }) => code !== 'anchor-unknown');

async function verdictOn(text: string, by: Trust = trust): Promise<Verdict> {
  const verdict = await verify({ proof: text, payload }, by);
  const { claims } = await verifyReceipt({ receipt: JSON.parse(text), payload }, by);
  expect(claims).toEqual(verdict.claims);
  return verdict;
}

describe('the verdict is as without', () => {
  test.each<[string, string, number]>([
    ['an anchor of an unknown type before it', withAnchors({ type: 'x-unknown', status: 'confirmed' }, anchor), 1],
    ['an anchor of an unknown type behind it', withAnchors(anchor, { type: 'x-unknown', token: 'AAAA' }), 1],
    ['15 anchors of unknown types', withAnchors(anchor, ...unknown15), 15],
    ['a type named as a member of every object', withAnchors(anchor, { type: 'toString' }, { type: '__proto__' }), 2],
    ['nesting and numbers', withAnchors(anchor, { type: 'x', a: [[[{ n: 1.5e300, m: -0.25 }]]], b: null }), 1],
    ['an unknown member of the anchor', withAnchors({ ...anchor, note: { a: ['b'] }, verified: true }), 0],
    [
      'unknown members below the anchor',
      withAnchors({ ...anchor, block: { ...anchor.block, slot: 7, result: 'refuted' } }),
      0,
    ],
  ])('%s', async (_, text, count) => {
    for (const by of [trust, {}, { key: log.verifierKey }]) {
      const [plain, verdict] = await Promise.all([verdictOn(JSON.stringify(receipt), by), verdictOn(text, by)]);
      expect({ ...verdict, claims: known(verdict) }).toEqual(plain);
      const added = verdict.claims.filter(({ code }) => code === 'anchor-unknown');
      expect(added.map(({ claim, status, grounds }) => [claim, status, grounds])).toEqual(
        Array(count).fill(['anchor', 'unverified', 'none']),
      );
    }
  });

  test('16 anchors, all of unknown types, prove nothing and refute nothing', async () => {
    const verdict = await verdictOn(withAnchors(...unknown16));
    expect([verdict.result, verdict.existedBefore, verdict.claims.length - known(verdict).length]).toEqual([
      'unproven',
      null,
      16,
    ]);
  });

  test('a refuted anchor stays refuted, and so does content', async () => {
    const wrong = { ...anchor, transaction: `0x${'00'.repeat(32)}` };
    expect((await verdictOn(withAnchors(wrong, ...unknown15))).result).toBe('refuted');
    const other = { proof: withAnchors(anchor, ...unknown15), payload: payload.slice(1) };
    expect((await verify(other, trust)).result).toBe('refuted');
  });

  test('the anchors of a root that the receipt does not lead to', async () => {
    const broken = { ...receipt, round: { ...receipt.round, root: '00'.repeat(32) }, anchors: [anchor, ...unknown15] };
    const { result, claims } = await verdictOn(JSON.stringify(broken));
    expect([result, claims.filter(({ claim }) => claim === 'anchor').map(({ code }) => code)]).toEqual([
      'refuted',
      ['round-not-shown', ...unknown15.map(() => 'anchor-unknown')],
    ]);
  });
});

/** JSON of an anchor of an unknown type that has so many bytes. */
const sized = (bytes: number): string => `{"type":"x","a":"${'a'.repeat(bytes - '{"type":"x","a":""}'.length)}"}`;
/** An anchor of an unknown type, nested so deep that the receipt's deepest level is this one. */
const nested = (levels: number): string => `{"type":"x","a":${'['.repeat(levels - 3)}${']'.repeat(levels - 3)}}`;
const raw = (...anchors: string[]): string => withAnchors('HERE').replace('"HERE"', anchors.join(','));
const own = JSON.stringify(anchor);

describe('bounds', () => {
  test.each<[string, string]>([
    ['256 kB', raw(own, sized(MAX_ANCHOR_BYTES))],
    ['nesting of 32', raw(own, nested(32))],
    ['16 anchors', raw(own, ...unknown15.map((each) => JSON.stringify(each)))],
    ['members named as those of every object', raw(own, '{"type":"x","__proto__":{"a":1},"constructor":2,"":3}')],
  ])('%s: taken, and kept as parsed', async (_, text) => {
    expect((await verdictOn(text)).result).toBe('proven');
    const parsed = parseReceiptText(text);
    expect(JSON.stringify(parsed)).toBe(JSON.stringify(JSON.parse(text)));
    const merged = mergeReceipt(parsed, parseReceipt(receipt), null).receipt;
    expect(JSON.stringify('round' in merged && merged.anchors)).toBe(
      JSON.stringify('round' in parsed && parsed.anchors),
    );
    expect(Object.getPrototypeOf('round' in merged && merged.anchors[1])).toBe(Object.prototype);
  });

  // A receipt beyond them breaks its format; text that is nested too deep is not even parsed.
  test.each<[string, string, string]>([
    ['256 kB and a byte', raw(own, sized(MAX_ANCHOR_BYTES + 1)), 'anchors.1: 256001 bytes'],
    ['257 kB', raw(own, sized(257_000)), 'anchors.1: 257000 bytes'],
    ['the same in characters of three bytes', raw(own, `{"type":"x","a":"${'€'.repeat(86_000)}"}`), 'anchors.1: 258'],
    ['17 anchors', raw(own, ...unknown16.map((each) => JSON.stringify(each))), 'anchors: more than 16 anchors'],
    ['a number beyond all doubles', raw(own, '{"type":"x","a":[1e999]}'), 'anchors.1: a number too large for JSON'],
    ['an anchor without a type', raw(own, '{"a":1}'), 'anchors.1.type'],
    ['a type that is no text', raw(own, '{"type":["evm"]}'), 'anchors.1.type'],
    ['no object', raw(own, '"evm"'), 'anchors.1'],
    ['a known type in another form', raw('{"type":"evm","status":"included"}'), 'anchors.0.chain'],
    ['a known type with another status', raw(own.replace('finalized', 'announced')), 'anchors.0.status'],
  ])('%s: refused, and the place named', async (_, text, place) => {
    expect(() => parseReceiptText(text)).toThrow(place);
    const verdict = await verdictOn(text);
    expect([verdict.result, verdict.claims.map(({ code }) => code)]).toEqual(['refuted', ['receipt-invalid']]);
    expect(verdict.claims[0]?.says).toContain(place);
  });

  test('nesting of 33: not parsed as text, refuted as JSON that somebody has parsed', async () => {
    const text = raw(own, nested(33));
    expect(() => parseReceiptText(text)).toThrow('nested deeper than 32');
    await expect(verify({ proof: text, payload }, trust)).rejects.toThrow('nested deeper than 32');
    expect((await verifyReceipt({ receipt: JSON.parse(text), payload }, trust)).result).toBe('refuted');
    const deepest = raw(own, nested(200_000));
    expect((await verifyReceipt({ receipt: JSON.parse(deepest), payload }, trust)).result).toBe('refuted');
  });

  test('anchors of more than 1 MiB together, where no text bounds them', async () => {
    const anchors = Array.from({ length: 5 }, () => JSON.parse(sized(MAX_ANCHOR_BYTES)));
    expect(() => parseReceipt({ ...receipt, anchors })).toThrow('anchors: 1280000 bytes');
    expect(() => parseReceiptText(JSON.stringify({ ...receipt, anchors }))).toThrow('1048576 are the most');
  });

  test.each([
    ['in the receipt', { ...receipt, note: 1 }],
    ['in the entry', { ...receipt, entry: { ...receipt.entry, note: 1 } }],
    ['in the round', { ...receipt, round: { ...receipt.round, note: 1 } }],
    ['named __proto__', JSON.parse(JSON.stringify(receipt).replace('{', '{"__proto__":{},'))],
  ])('a member elsewhere is refused as before: %s', async (_, json) => {
    expect((await verifyReceipt({ receipt: json, payload }, trust)).claims[0]?.code).toBe('receipt-invalid');
  });
});

describe('an upgrade', () => {
  const anchorsOf = (old: unknown[], fresh: unknown[]): unknown[] => {
    const [a, b] = [old, fresh].map((anchors) => parseReceipt({ ...receipt, anchors }));
    if (a === undefined || b === undefined) throw new Error('no receipts');
    const merged = parseReceipt(mergeReceipt(a, b, null).receipt);
    return 'round' in merged ? merged.anchors : [];
  };

  test('keeps anchors of unknown types, told apart by their whole content', () => {
    const [one, two] = [
      { type: 'x', a: [1, { b: 2, c: 3 }] },
      { type: 'x', a: [1, { b: 2, c: 4 }] },
    ];
    expect(anchorsOf([anchor, one], [anchor])).toEqual([anchor, one]);
    expect(anchorsOf([one, anchor], [two, anchor])).toEqual([two, anchor, one]);
    expect(anchorsOf([one], [{ a: [1, { c: 3, b: 2 }], type: 'x' }])).toEqual([one]);
  });

  test('keeps unknown members of an anchor that stayed where it was', () => {
    const noted = { ...anchor, status: 'included', note: { a: 1 } };
    expect(anchorsOf([noted], [anchor])).toEqual([{ ...anchor, note: { a: 1 } }]);
    expect(anchorsOf([noted], [{ ...anchor, note: 2 }])).toEqual([{ ...anchor, note: 2 }]);
    const moved = local.anchor(round.root);
    expect(anchorsOf([noted], [moved])).toEqual([moved]);
  });

  test('where there is no room, known anchors are kept, then unknown ones in their order, fresh ones first', () => {
    const elsewhere = main.anchor(round.root);
    const merged = anchorsOf([...unknown15.slice(0, 9), elsewhere], [...unknown16.slice(8), anchor]);
    expect(merged).toEqual([...unknown16.slice(8), anchor, elsewhere, ...unknown15.slice(0, 6)]);
  });
});
