import { describe, expect, test } from 'vitest';
import { toBase64, toHex } from '../../src/core/bytes.ts';
import { knownAnchors, parseReceipt, type Receipt } from '../../src/core/receipt.ts';
import { mergeReceipt } from '../../src/core/receipt-merge.ts';
import type { Anchor } from '../../src/core/receipt-schema.ts';
import { formatTime } from '../../src/core/time.ts';
import { MemoryChain, MemoryLog, MemoryRound, seeded } from '../support/receipts.ts';

const grown = (name = 'payments', lines = 9, fork = ''): MemoryLog => {
  const log = new MemoryLog(name);
  for (let n = 0; n < lines; n++) log.append(n < 5 ? `line ${n}` : `line ${n}${fork}`);
  return log;
};

const proof = (log: MemoryLog, from: number, to: number): { path: string[] } => ({
  path: log.tree.consistencyPath(from, to).map(toHex),
});

describe('a checkpoint', () => {
  const log = grown();
  const old = log.receipt(2, 6);
  const round = new MemoryRound([log]);
  const fresh = round.receipt(log, 2);

  test('is replaced by that of the round, which a proof ties to it; the entry is kept', () => {
    const merged = mergeReceipt({ ...old, expectedBy: formatTime(0) }, fresh, proof(log, 6, 9));
    expect(merged).toEqual({ receipt: fresh, equivocation: null });
    expect(parseReceipt(merged.receipt).entry).toEqual(old.entry);
  });

  test('comes with the path to a stored round that only the older receipt has', () => {
    const storedPath = { chain: 'eip155:1', round: 2, path: '0x00' };
    const other = { ...storedPath, round: 3 };
    expect(mergeReceipt({ ...fresh, storedPath }, fresh, null).receipt).toEqual({ ...fresh, storedPath });
    const both = mergeReceipt({ ...fresh, storedPath }, { ...fresh, storedPath: other }, null);
    expect(both.receipt).toEqual({ ...fresh, storedPath: other });
  });

  test('of the same size needs no proof', () => {
    expect(mergeReceipt(log.receipt(2), fresh, null)).toEqual({ receipt: fresh, equivocation: null });
  });

  test('that is the larger one is tied the other way round', () => {
    const early = grown('payments', 6);
    const closed = new MemoryRound([early]).receipt(early, 2);
    expect(mergeReceipt(log.receipt(2), closed, proof(log, 6, 9))).toEqual({ receipt: closed, equivocation: null });
  });

  const forked = grown('payments', 9, ' rewritten');
  const otherRound = new MemoryRound([forked]).receipt(forked, 2);
  test.each<[string, Receipt, Receipt, { path: string[] } | null]>([
    ['no proof', old, fresh, null],
    ['an empty proof', old, fresh, { path: [] }],
    ['the proof of other sizes', old, fresh, proof(log, 5, 9)],
    ['a proof that is no hex', old, fresh, { path: ['zz', 'AB'] }],
    ['a fork, with its own proof', old, otherRound, proof(forked, 6, 9)],
    ['a fork of the same size', log.receipt(2), otherRound, null],
    ['another entry at the index', log.receipt(7), new MemoryRound([forked]).receipt(forked, 7), null],
  ])('stays, and equivocation is reported: %s', (_, before, after, consistency) => {
    const merged = mergeReceipt(before, after, consistency);
    expect(merged.receipt).toBe(before);
    expect(merged.equivocation).toContain(log.origin);
  });

  test('a fresh receipt that does not hold together says nothing about the log', () => {
    const broken = structuredClone(fresh);
    broken.inclusion.path[0] = toHex(seeded('wrong'));
    const code = 'receipt-broken';
    expect(() => mergeReceipt(old, broken, proof(log, 6, 9))).toThrow(expect.objectContaining({ code }));
  });

  test('of another entry upgrades nothing', () => {
    const code = 'receipt-other-entry';
    expect(() => mergeReceipt(old, log.receipt(3), null)).toThrow(expect.objectContaining({ code }));
    expect(() => mergeReceipt(old, grown('other').receipt(2), null)).toThrow(expect.objectContaining({ code }));
  });
});

describe('rounds', () => {
  const log = grown();
  const round = new MemoryRound([log]);

  test('one that is gone at the service is kept', () => {
    const old = round.receipt(log, 2, [new MemoryChain().anchor(round.root)]);
    expect(mergeReceipt(old, log.receipt(2), null)).toEqual({ receipt: old, equivocation: null });
  });

  test('two of one entry contradict each other', () => {
    const other = new MemoryRound([log], { number: 2 });
    const old = round.receipt(log, 2);
    const merged = mergeReceipt(old, other.receipt(log, 2), null);
    expect(merged.receipt).toBe(old);
    expect(merged.equivocation).toContain('round 2');
  });
});

describe('anchors', () => {
  const log = grown();
  const round = new MemoryRound([log]);
  const merge = (old: Anchor[], fresh: Anchor[]): Anchor[] => {
    const { receipt, equivocation } = mergeReceipt(round.receipt(log, 2, old), round.receipt(log, 2, fresh), null);
    expect(equivocation).toBeNull();
    const read = parseReceipt(receipt);
    return knownAnchors(read);
  };
  const chain = new MemoryChain('eip155:10');
  const lost = new MemoryChain('eip155:10', 'before the reorg').anchor(round.root);
  const found = chain.anchor(round.root);
  const elsewhere = new MemoryChain('eip155:1').anchor(round.root);
  const evmProof = { header: '0xc0', index: 0, transaction: ['0xc0'], receipt: ['0xc0'], logIndex: 0 };

  test('lost to a reorg are replaced', () => expect(merge([lost], [found])).toEqual([found]));

  test('that the service no longer speaks of are kept', () => {
    expect(merge([lost, elsewhere], [found])).toEqual([found, elsewhere]);
    expect(merge([found], [])).toEqual([found]);
  });

  test('are added', () => expect(merge([found], [found, elsewhere])).toEqual([found, elsewhere]));

  test('keep their proof while they are in the same block', () => {
    expect(merge([{ ...found, proof: evmProof }], [found])).toEqual([{ ...found, proof: evmProof }]);
    expect(merge([{ ...lost, proof: evmProof }], [found])).toEqual([found]);
  });

  test('confirmed by Bitcoin do not fall back to pending', () => {
    const timestamp = toBase64(seeded('timestamp'));
    const pending: Anchor = { type: 'opentimestamps', status: 'pending', timestamp };
    const block = { chain: `bip122:${'0'.repeat(32)}`, height: 1, header: '00'.repeat(80), time: formatTime(0) };
    const confirmed: Anchor = { type: 'opentimestamps', status: 'confirmed', timestamp, blocks: [block] };
    expect(merge([confirmed], [pending])).toEqual([confirmed]);
    expect(merge([pending], [confirmed])).toEqual([confirmed]);
  });
});
