// What each circumstance makes of a receipt, code by code.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toBase64, toHex, utf8 } from '../../src/core/bytes.ts';
import { parseReceipt } from '../../src/core/receipt.ts';
import type { RoundReceipt } from '../../src/core/receipt-schema.ts';
import { formatTime } from '../../src/core/time.ts';
import { type Claim, VERDICT_CODES } from '../../src/core/verdict.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import {
  type EvmSource,
  exitCode,
  nextSteps,
  type Trust,
  type Verdict,
  verifyReceipt,
} from '../../src/verify/verify.ts';
import { anchorAmong, anchorIn, outcomeOf, sealBlock, transactionOf } from '../support/blocks.ts';
import { EPOCH, MemoryChain, MemoryLog, MemoryRound, provenReceipt, seeded } from '../support/receipts.ts';
import { COSE_CODES } from './cose-codes.ts';
import { OTS_CODES } from './ots-codes.ts';
import { TLOG_CODES } from './tlog-codes.ts';
import { TOKEN_LOG_CODES, TSA_CODES } from './tsa-codes.ts';

const seen = new Map<string, Claim['status']>();

/** Verifies, and holds the verdict to its published form and to what every verdict must fulfil. */
async function verify(receipt: unknown, trust: Trust = {}, content: object = {}): Promise<Verdict> {
  const verdict = verdictSchema.parse(await verifyReceipt({ receipt, ...content }, trust));
  for (const { code, status } of verdict.claims) seen.set(code, status);
  expect(verdict.existedBefore !== null).toBe(verdict.result === 'proven');
  expect(exitCode(verdict)).toBe({ proven: 0, refuted: 1, unproven: 2 }[verdict.result]);
  for (const { status, grounds } of verdict.claims) if (status === 'verified') expect(grounds).not.toBe('none');
  if (verdict.result === 'refuted') expect(nextSteps(verdict)).toEqual([]);
  return verdict;
}

const codes = (verdict: Verdict, claim: Claim['claim']): string[] =>
  verdict.claims.filter((each) => each.claim === claim).map(({ code }) => code);

const edited = (receipt: RoundReceipt, edit: (copy: RoundReceipt) => void): RoundReceipt => {
  const copy = structuredClone(receipt);
  edit(copy);
  return copy;
};

const failing = (chain: string | null): EvmSource => {
  const fail = async (): Promise<never> => Promise.reject(new Error('the wire is cut'));
  return {
    grounds: 'rpc',
    describe: () => 'the broken node',
    chainId: chain === null ? fail : async () => chain,
    transaction: fail,
    block: fail,
    finalized: fail,
  };
};

test('all there is, all trusted: proven, each claim on its own grounds', async () => {
  const { receipt, payload, log, local, main, anchor } = provenReceipt();
  const verdict = await verify(receipt, { key: log.verifierKey, evm: [local, main] }, { payload });
  expect(verdict.result).toBe('proven');
  expect(verdict.existedBefore).toEqual({
    time: anchor.block.time,
    chain: 'eip155:31337',
    block: { number: anchor.block.number, hash: anchor.block.hash },
  });
  expect(verdict.notBefore).toMatchObject({ block: { number: 4 } });
  expect(verdict.claims.map(({ claim, status, grounds, code }) => [claim, status, grounds, code])).toEqual([
    ['content', 'verified', 'bytes', 'content-matches'],
    ['position', 'verified', 'key', 'position-by-key'],
    ['checkpoint', 'verified', 'key', 'signature-holds'],
    ['round', 'verified', 'bytes', 'round-holds'],
    ['not-before', 'verified', 'rpc', 'beacon-confirmed'],
    ['not-before', 'verified', 'rpc', 'beacon-confirmed'],
    ['received-at', 'unverified', 'none', 'operators-word'],
    ['anchor', 'verified', 'rpc', 'anchor-final'],
  ]);
});

test('nothing trusted: consistent, and not proven', async () => {
  const { receipt, payload } = provenReceipt();
  const verdict = await verify(receipt, {}, { payload });
  expect(verdict.result).toBe('unproven');
  expect(verdict.notBefore).toBeNull();
  expect(verdict.claims.map(({ code }) => code)).toEqual([
    'content-matches',
    'position-by-bytes',
    'key-not-given',
    'round-holds',
    'no-source',
    'no-source',
    'operators-word',
    'no-source',
  ]);
});

test('no content given: the verdict is about the digest', async () => {
  const { receipt, local } = provenReceipt();
  const verdict = await verify(receipt, { evm: [local] });
  expect(verdict.result).toBe('proven');
  expect(codes(verdict, 'content')).toEqual(['content-not-given']);
});

describe('content and position', () => {
  test('both payload and digest must match', async () => {
    const { receipt, payload, local } = provenReceipt();
    const right = await verify(receipt, { evm: [local] }, { payload, digest: sha256(payload) });
    expect(right.result).toBe('proven');
    const wrong = await verify(receipt, { evm: [local] }, { payload, digest: seeded('another') });
    expect(wrong).toMatchObject({ result: 'refuted', existedBefore: null, notBefore: null });
    expect(codes(wrong, 'content')).toEqual(['content-differs']);
  });

  test('a key of another log; a key the log did not sign with; a key that is none', async () => {
    const { receipt, local, log } = provenReceipt();
    const other = await verify(receipt, { key: new MemoryLog('other').verifierKey, evm: [local] });
    expect([other.result, codes(other, 'checkpoint')]).toEqual(['unproven', ['key-not-for-this-log']]);
    const later = new MemoryLog('payments', { secret: seeded('another key') });
    const rotated = await verify(receipt, { key: later.verifierKey, evm: [local] });
    expect([rotated.result, codes(rotated, 'checkpoint')]).toEqual(['unproven', ['signature-by-another-key']]);
    expect(rotated.claims.find(({ claim }) => claim === 'checkpoint')?.says).toContain(log.verifierKey.split('+')[1]);
    expect(codes(rotated, 'position')).toEqual(['position-by-bytes']);
    const unsigned = edited(receipt, (copy) => {
      copy.checkpoint = copy.checkpoint.replace(/— \S+ /, '— somebody.else ');
    });
    const nobody = await verify(unsigned, { key: log.verifierKey, evm: [local] });
    expect([nobody.result, codes(nobody, 'checkpoint')]).toEqual(['unproven', ['signature-not-found']]);
    await expect(verify(receipt, { key: 'payments+00+x' })).rejects.toMatchObject({ code: 'verifier-key' });
  });

  test('a signature over another tree', async () => {
    const { receipt, log } = provenReceipt();
    const broken = edited(receipt, (copy) => {
      copy.checkpoint = copy.checkpoint.replace(/ \S+\n$/, ` ${log.sign(3).split(' ').at(-1)}`);
    });
    const verdict = await verify(broken, { key: log.verifierKey });
    expect([verdict.result, codes(verdict, 'checkpoint')]).toEqual(['refuted', ['signature-broken']]);
  });

  test('a checkpoint that is none, or of another size', async () => {
    const { receipt, log } = provenReceipt();
    const none = await verify(edited(receipt, (copy) => void Object.assign(copy, { checkpoint: 'a\nb\n' })));
    expect([none.result, codes(none, 'position')]).toEqual(['refuted', ['checkpoint-unreadable']]);
    expect(codes(none, 'anchor')).toEqual(['round-not-shown']);
    const smaller = await verify(edited(receipt, (copy) => void Object.assign(copy, { checkpoint: log.sign(12) })));
    expect([smaller.result, codes(smaller, 'position')]).toEqual(['refuted', ['checkpoint-differs']]);
  });

  test('a log that does not chain its entries', async () => {
    const log = new MemoryLog('unchained');
    log.append('first', { previous: seeded('nowhere') });
    log.append('second', { previous: seeded('nowhere') });
    for (const index of [0, 1]) {
      const verdict = await verify(log.receipt(index), { key: log.verifierKey });
      expect([verdict.result, codes(verdict, 'position')]).toEqual(['refuted', ['previous-differs']]);
    }
  });

  test('another entry, another round, another link', async () => {
    const { receipt } = provenReceipt();
    const entry = await verify(edited(receipt, (copy) => void Object.assign(copy.entry, { index: 7 })));
    expect([entry.result, codes(entry, 'position')]).toEqual(['refuted', ['position-broken']]);
    const round = await verify(edited(receipt, (copy) => void Object.assign(copy.round, { root: toHex(seeded('r')) })));
    expect([round.result, codes(round, 'round')]).toEqual(['refuted', ['round-broken']]);
    const link = await verify(edited(receipt, (copy) => void Object.assign(copy.round, { number: 8 })));
    expect([link.result, codes(link, 'round')]).toEqual(['refuted', ['link-broken']]);
  });

  test('an unblinded entry', async () => {
    const log = new MemoryLog('open');
    log.append('line', { nonce: new Uint8Array(0) });
    const chain = new MemoryChain();
    const round = new MemoryRound([log]);
    const verdict = await verify(round.receipt(log, 0, [chain.anchor(round.root)]), { evm: [chain] });
    expect(verdict.result).toBe('proven');
    expect(codes(verdict, 'not-before')).toEqual(['no-beacon']);
  });

  test('a size of the round that leaves its paths their shape is no claim of the verdict', async () => {
    const logs = ['a', 'b', 'c', 'd', 'e'].map((name) => new MemoryLog(name));
    for (const log of logs) log.append('line');
    const round = new MemoryRound(logs);
    const [receipt] = logs.map((log) => round.receipt(log, 0)).filter((each) => each.round.index === 1);
    if (receipt === undefined) throw new Error('no log stands at index 1');
    const { claims } = await verify(receipt);
    for (const [size, same] of [
      [4, false],
      [5, true],
      [8, true],
      [9, false],
    ] as const) {
      const resized = await verify(edited(receipt, (copy) => void Object.assign(copy.round, { size })));
      if (same) expect(resized.claims).toEqual(claims);
      else expect(resized.result).toBe('refuted');
    }
  });
});

describe('before the end', () => {
  test('a receipt that ends after its checkpoint', async () => {
    const { log, local } = provenReceipt();
    const verdict = await verify(log.receipt(3), { key: log.verifierKey, evm: [local] });
    expect([verdict.result, codes(verdict, 'round')]).toEqual(['unproven', ['round-pending']]);
    expect(codes(verdict, 'position')).toEqual(['position-by-key']);
  });

  test('a round without an anchor', async () => {
    const { log, round, local } = provenReceipt();
    const verdict = await verify(round.receipt(log, 3), { evm: [local] });
    expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['no-anchor']]);
  });

  test('a transaction sent: what the node says counts, not the status', async () => {
    const { receipt, anchor, local } = provenReceipt();
    const { block: _, proof: __, ...sent } = anchor;
    const submitted = edited(receipt, (copy) => {
      copy.anchors = [{ ...sent, status: 'submitted' }];
    });
    expect((await verify(submitted, { evm: [local] })).result).toBe('proven');
    local.findsTransactions = false;
    const unknown = await verify(submitted, { evm: [local] });
    expect([unknown.result, codes(unknown, 'anchor')]).toEqual(['unproven', ['anchor-not-included']]);
  });

  test('a block that is not final yet, whatever the receipt says', async () => {
    const { receipt, local } = provenReceipt();
    local.finalityDepth = 2;
    const verdict = await verify(receipt, { evm: [local] });
    expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['anchor-not-final']]);
    local.finalityDepth = 1;
    expect((await verify(receipt, { evm: [local] })).result).toBe('proven');
  });
});

describe('anchors that are not so', () => {
  const onAnchor = (receipt: RoundReceipt, change: object): RoundReceipt =>
    edited(receipt, (copy) => void Object.assign(copy.anchors[0] ?? {}, change));

  test('another time of the block, another contract, another root, a failed transaction', async () => {
    const { receipt, anchor, local, log, round } = provenReceipt();
    const time = formatTime(Date.parse(anchor.block.time) + 1_000);
    const late = await verify(onAnchor(receipt, { block: { ...anchor.block, time } }), { evm: [local] });
    expect([late.result, codes(late, 'anchor')]).toEqual(['refuted', ['anchor-block-differs']]);
    const contract = `0x${'00'.repeat(20)}`;
    const foreign = await verify(onAnchor(receipt, { contract }), { evm: [local] });
    expect([foreign.result, codes(foreign, 'anchor')]).toEqual(['refuted', ['anchor-event-missing']]);
    const root = await verify(round.receipt(log, 5, [local.anchor(seeded('another root'))]), { evm: [local] });
    expect([root.result, codes(root, 'anchor')]).toEqual(['refuted', ['anchor-event-missing']]);
    const failed = await verify(round.receipt(log, 5, [local.anchor(round.root, { status: 0 })]), { evm: [local] });
    expect([failed.result, codes(failed, 'anchor')]).toEqual(['refuted', ['anchor-transaction-failed']]);
  });

  test('a transaction that its block does not hold, or that the node no longer indexes', async () => {
    const { receipt, local } = provenReceipt();
    const invented = onAnchor(receipt, { transaction: `0x${toHex(seeded('no transaction'))}` });
    const missing = await verify(invented, { evm: [local] });
    expect([missing.result, codes(missing, 'anchor')]).toEqual(['refuted', ['anchor-transaction-missing']]);
    local.findsTransactions = false;
    const pruned = await verify(receipt, { evm: [local] });
    expect([pruned.result, codes(pruned, 'anchor')]).toEqual(['unproven', ['source-without-index']]);
    local.tellsTransactions = false;
    expect(codes(await verify(receipt, { evm: [local] }), 'anchor')).toEqual(['source-without-index']);
  });

  test('a block reorganized away: unproven alone, proven by another anchor', async () => {
    const { log, round, local } = provenReceipt();
    const before = new MemoryChain('eip155:10', 'before the reorg');
    const after = new MemoryChain('eip155:10', 'after the reorg');
    const lost = before.anchor(round.root);
    after.mine();
    const alone = await verify(round.receipt(log, 5, [lost]), { evm: [after] });
    expect([alone.result, codes(alone, 'anchor')]).toEqual(['unproven', ['anchor-moved']]);
    const both = await verify(round.receipt(log, 5, [lost, local.anchor(round.root)]), { evm: [after, local] });
    expect([both.result, codes(both, 'anchor')]).toEqual(['proven', ['anchor-moved', 'anchor-final']]);
  });

  test('a node that has not come so far', async () => {
    const { log, round } = provenReceipt();
    const ahead = new MemoryChain('eip155:10');
    for (let n = 0; n < 5; n++) ahead.mine();
    const behind = new MemoryChain('eip155:10');
    const beaconed = new MemoryRound([log], { beacons: [ahead.beacon()] });
    const verdict = await verify(round.receipt(log, 5, [ahead.anchor(round.root)]), { evm: [behind] });
    expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['source-behind']]);
    const early = await verify(beaconed.receipt(log, 5), { evm: [behind] });
    expect([early.result, codes(early, 'not-before')]).toEqual(['unproven', ['beacon-not-final']]);
  });

  test('two nodes that contradict each other', async () => {
    const { log, round } = provenReceipt();
    const honest = new MemoryChain('eip155:10', 'one');
    const receipt = round.receipt(log, 5, [honest.anchor(round.root)]);
    const other = new MemoryChain('eip155:10', 'two');
    other.mine();
    for (const evm of [
      [honest, other],
      [other, honest],
    ]) {
      const verdict = await verify(receipt, { evm });
      expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['anchor-moved']]);
    }
  });

  test('a transaction that a reorganization moved to another block', async () => {
    const { receipt, anchor, local } = provenReceipt();
    const moved = onAnchor(receipt, { block: { ...anchor.block, hash: `0x${toHex(seeded('before'))}`, number: 7 } });
    const verdict = await verify(moved, { evm: [local] });
    expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['anchor-moved']]);
    expect(verdict.claims.at(-1)?.says).toContain('antequem upgrade');
    const numbered = await verify(onAnchor(receipt, { block: { ...anchor.block, number: 7 } }), { evm: [local] });
    expect([numbered.result, codes(numbered, 'anchor')]).toEqual(['refuted', ['anchor-block-differs']]);
  });

  test('the earliest of several proves', async () => {
    const { log, round, local, main } = provenReceipt();
    const anchors = [main.anchor(round.root), local.anchor(round.root)];
    const times = anchors.map(({ block }) => block.time).sort();
    const verdict = await verify(round.receipt(log, 5, anchors), { evm: [local, main] });
    expect(verdict.existedBefore?.time).toBe(times[0]);
    expect(new Set(times).size).toBe(2);
  });
});

describe('a development chain', () => {
  test('started anew: unverified', async () => {
    const { receipt } = provenReceipt();
    const anew = new MemoryChain('eip155:31337', 'second');
    const empty = await verify(receipt, { evm: [anew] });
    expect([empty.result, codes(empty, 'anchor')]).toEqual(['unproven', ['other-chain-instance']]);
    for (let n = 0; n < 10; n++) anew.mine();
    const grown = await verify(receipt, { evm: [anew] });
    expect([grown.result, codes(grown, 'anchor')]).toEqual(['unproven', ['other-chain-instance']]);
    expect(codes(grown, 'not-before')).toEqual(['no-source', 'other-chain-instance']);
  });

  test('shown by a beacon to be the same: its block is gone', async () => {
    const { receipt, local } = provenReceipt();
    local.blocks.splice(5);
    local.mine();
    const verdict = await verify(receipt, { evm: [local] });
    expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['anchor-moved']]);
  });
});

test('an anchor of an unknown type is left open', async () => {
  const { receipt, local } = provenReceipt();
  const verdict = await verify({ ...receipt, anchors: [...receipt.anchors, { type: 'notary' }] }, { evm: [local] });
  expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['proven', ['anchor-final', 'anchor-unknown']]);
});

describe('sources', () => {
  test('that fail never refute', async () => {
    const { receipt, local } = provenReceipt();
    for (const chain of ['eip155:31337', null]) {
      const verdict = await verify(receipt, { evm: [failing(chain)] });
      expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['source-failed']]);
      expect(verdict.claims.at(-1)?.says).toContain('the wire is cut');
      expect((await verify(receipt, { evm: [failing(chain), local] })).result).toBe('proven');
    }
  });

  test('of another chain are not asked', async () => {
    const { receipt, log, round } = provenReceipt();
    const other = new MemoryChain('eip155:10');
    other.anchor(round.root);
    const verdict = await verify(receipt, { key: log.verifierKey, evm: [other] });
    expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['unproven', ['no-source']]);
  });

  test('a block hash alone proves nothing without the proof that leads from it', async () => {
    const { receipt, anchor, round, log } = provenReceipt();
    const trust = { blockHashes: [anchor.block.hash] };
    expect(codes(await verify(receipt, trust), 'anchor')).toEqual(['proof-missing']);
    expect(codes(await verify(receipt, { blockHashes: [`0x${'00'.repeat(32)}`] }), 'anchor')).toEqual(['no-source']);
    const proven = anchorAmong(round.root);
    const withProof = await verify(round.receipt(log, 5, [proven]), { blockHashes: [proven.block.hash] });
    expect([withProof.result, codes(withProof, 'anchor')]).toEqual(['proven', ['anchor-proven']]);
    const proof = { header: '0xc0', index: 0, transaction: ['0xc0'], receipt: ['0xc0'], logIndex: 0 };
    const broken = await verify(round.receipt(log, 5, [{ ...anchor, proof }]), { blockHashes: [anchor.block.hash] });
    expect([broken.result, codes(broken, 'anchor')]).toEqual(['refuted', ['proof-broken']]);
  });

  test('whose block is of another number, chain or call than the receipt says', async () => {
    const { round, log } = provenReceipt();
    const anchor = anchorAmong(round.root);
    const by = async (change: Partial<typeof anchor>): Promise<string[]> =>
      codes(await verify(round.receipt(log, 5, [{ ...anchor, ...change }])), 'anchor');
    expect(await by({ block: { ...anchor.block, number: 10 } })).toEqual(['anchor-block-differs']);
    expect(await by({ chain: 'eip155:1' })).toEqual(['anchor-chain-differs']);
    expect(await by({ contract: `0x${'00'.repeat(20)}` })).toEqual(['anchor-call-differs']);
    const opaque = sealBlock([transactionOf(round.root, { type: 5 })], [outcomeOf(round.root, { type: 5 })]);
    const unread = await verify(round.receipt(log, 5, [anchorIn(opaque, 0)]), { blockHashes: [opaque.hash] });
    expect([unread.result, codes(unread, 'anchor')]).toEqual(['unproven', ['proof-not-read']]);
  });

  describe('with a proof are asked for the block alone', () => {
    const { round, log } = provenReceipt();
    const anchor = anchorAmong(round.root);
    const receipt = round.receipt(log, 5, [anchor]);
    /** A node that has forgotten transactions and receipts, and has this block at the height of the anchor's. */
    const pruned = (hash: string, final = 9): EvmSource => ({
      ...failing(anchor.chain),
      block: async (number) => (number === 9 ? { number, hash, time: Date.parse(anchor.block.time) } : null),
      transaction: async () => null,
      finalized: async () => final,
    });
    const by = async (...evm: EvmSource[]): Promise<[string, string[]]> => {
      const verdict = await verify(receipt, { evm });
      return [verdict.result, codes(verdict, 'anchor')];
    };

    test('which is enough, if it is final', async () => {
      expect(await by(pruned(anchor.block.hash))).toEqual(['proven', ['anchor-proven']]);
      expect(await by(pruned(anchor.block.hash, 8))).toEqual(['unproven', ['anchor-not-final']]);
      const { claims, existedBefore } = await verify(receipt, { evm: [pruned(anchor.block.hash)] });
      expect(claims.at(-1)).toMatchObject({ grounds: 'rpc', chain: anchor.chain, time: anchor.block.time });
      expect(existedBefore).toEqual({
        time: anchor.block.time,
        chain: anchor.chain,
        block: { number: 9, hash: anchor.block.hash },
      });
    });

    test('where another block stands there, it is gone, or the chain another', async () => {
      const other = `0x${toHex(seeded('another block'))}`;
      expect(await by(pruned(other))).toEqual(['unproven', ['other-chain-instance']]);
      const mainnet = anchorIn(sealBlock([transactionOf(round.root, { chainId: 1 })], [outcomeOf(round.root)]), 0);
      const onMain = round.receipt(log, 5, [{ ...mainnet, chain: 'eip155:1' }]);
      const source = { ...pruned(other), chainId: async () => 'eip155:1' };
      const gone = await verify(onMain, { evm: [source] });
      expect([gone.result, codes(gone, 'anchor')]).toEqual(['unproven', ['anchor-moved']]);
      // The given hash contradicts the node; whom to believe is not for the verifier to say.
      expect((await verify(onMain, { evm: [source], blockHashes: [mainnet.block.hash] })).result).toBe('unproven');
    });

    test('and where none answers, the hash still proves', async () => {
      expect(await by(failing(anchor.chain))).toEqual(['unproven', ['source-failed']]);
      const verdict = await verify(receipt, { evm: [failing(anchor.chain)], blockHashes: [anchor.block.hash] });
      expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['proven', ['anchor-proven']]);
    });
  });

  test('a beacon that its chain does not know: reported, and not decisive', async () => {
    const { log, local } = provenReceipt();
    const real = new MemoryChain('eip155:10', 'real');
    const invented = new MemoryChain('eip155:10', 'invented');
    invented.mine();
    for (let n = 0; n < 3; n++) real.mine();
    const bitcoin = { chain: `bip122:${'0'.repeat(32)}`, height: 9, hash: seeded('bitcoin') };
    const round = new MemoryRound([log], { beacons: [invented.beacon(), bitcoin] });
    const verdict = await verify(round.receipt(log, 5, [local.anchor(round.root)]), { evm: [real, local] });
    expect(codes(verdict, 'not-before')).toEqual(['beacon-not-on-chain', 'bitcoin-source-missing']);
    expect(verdict).toMatchObject({ result: 'proven', notBefore: null });
  });

  test('an OpenTimestamps proof that is none', async () => {
    const { log, round } = provenReceipt();
    const anchor = { type: 'opentimestamps', status: 'pending', timestamp: toBase64(seeded('ots')) } as const;
    const verdict = await verify(round.receipt(log, 5, [anchor]));
    expect([verdict.result, codes(verdict, 'anchor')]).toEqual(['refuted', ['timestamp-invalid']]);
  });
});

describe('the time of receipt', () => {
  const roundAt = (receivedAt: number, closedAt: number): { receipt: RoundReceipt; chain: MemoryChain } => {
    const log = new MemoryLog('clock');
    log.append('line', { receivedAt });
    const chain = new MemoryChain();
    const round = new MemoryRound([log], { closedAt });
    return { receipt: round.receipt(log, 0, [chain.anchor(round.root)]), chain };
  };
  // The block of the anchor is of EPOCH + 3 s.
  test.each([
    ['before all', EPOCH, EPOCH + 1, 'operators-word'],
    ['as the round closes', EPOCH, EPOCH, 'operators-word'],
    ['after the close', EPOCH + 2, EPOCH + 1, 'received-after-close'],
    ['as late as clocks and slots allow', EPOCH + 78_000, EPOCH + 90_000, 'operators-word'],
    ['later', EPOCH + 78_001, EPOCH + 90_000, 'received-after-anchor'],
  ])('%s', async (_, receivedAt, closedAt, code) => {
    const { receipt, chain } = roundAt(receivedAt, closedAt);
    const verdict = await verify(receipt, { evm: [chain], now: EPOCH + 90_000 });
    // A wrong time of receipt is reported; that the digest existed before the block stands.
    expect([verdict.result, codes(verdict, 'received-at')]).toEqual(['proven', [code]]);
  });

  test("ahead of the verifier's clock", async () => {
    const { receipt, chain } = roundAt(EPOCH, EPOCH);
    const ahead = await verify(receipt, { evm: [chain], now: EPOCH - 60_001 });
    expect([ahead.result, codes(ahead, 'received-at')]).toEqual(['proven', ['received-ahead-of-clock']]);
    expect(codes(await verify(receipt, { now: EPOCH - 60_000 }), 'received-at')).toEqual(['operators-word']);
  });

  test('times of blocks that contradict each other: neither is claimed', async () => {
    const { log, local } = provenReceipt();
    const late = new MemoryChain('eip155:10');
    for (let n = 0; n < 60; n++) late.mine();
    const round = new MemoryRound([log], { beacons: [late.beacon()] });
    const verdict = await verify(round.receipt(log, 5, [local.anchor(round.root)]), { evm: [late, local] });
    expect(verdict).toMatchObject({ result: 'unproven', existedBefore: null, notBefore: null });
    expect([codes(verdict, 'not-before'), codes(verdict, 'anchor')]).toEqual([
      ['times-contradict'],
      ['times-contradict'],
    ]);
  });
});

describe('input that is no receipt', () => {
  test('of the format by its own word, and against it: refuted', async () => {
    const { receipt, local } = provenReceipt();
    const verdict = await verify({ ...receipt, note: 'extra' }, { evm: [local] });
    expect([verdict.result, codes(verdict, 'position')]).toEqual(['refuted', ['receipt-invalid']]);
    expect(() => parseReceipt({ ...receipt, note: 'extra' })).toThrow('"note"');
  });

  test.each([
    ['in the entry', '"index":', '"index":0,"index":'],
    ['in an anchor', '"status":', '"status":"submitted","status":'],
    ['written with an escape', '"digest":', '"dig\\u0065st":"00","digest":'],
  ])('in which an object has a member twice, %s: refused, and not refuted', async (_, member, twice) => {
    const { receipt, local } = provenReceipt();
    const text = JSON.stringify(receipt);
    expect((await verify(text, { evm: [local] })).result).toBe('proven');
    const verdict = await verify(text.replace(member, twice), { evm: [local] });
    expect([verdict.result, exitCode(verdict), codes(verdict, 'position')]).toEqual([
      'unproven',
      2,
      ['receipt-ambiguous'],
    ]);
  });

  test.each([[null], ['text'], [{}], [{ format: 'antequem-receipt/v2' }]])('%j is an error', async (input) => {
    await expect(verifyReceipt({ receipt: input }, {})).rejects.toMatchObject({ code: 'receipt-invalid' });
  });
});

describe('the same text with other line ends', () => {
  const log = new MemoryLog('lines');
  const texts = ['one\ntwo\n', 'one\r\ntwo\r\n', 'one\ntwo', 'one line'];
  for (const text of texts) log.append(text);
  const chain = new MemoryChain();
  const round = new MemoryRound([log]);
  const anchor = chain.anchor(round.root);

  test.each<[number, string, string]>([
    [0, 'one\r\ntwo\r\n', 'with line ends of Unix (LF)'],
    [0, 'one\ntwo', 'with a newline at its end'],
    [0, 'one\r\ntwo', 'with line ends of Unix (LF) and with a newline at its end'],
    [1, 'one\ntwo\n', 'with line ends of Windows (CRLF)'],
    [1, 'one\r\ntwo\n', 'with line ends of Windows (CRLF)'],
    [1, 'one\r\ntwo', 'with a newline (CRLF) at its end'],
    [2, 'one\ntwo\n', 'without its last newline'],
    [2, 'one\r\ntwo\r\n', 'with line ends of Unix (LF) and without its last newline'],
    [3, 'one line\r\n', 'without its last newline'],
  ])('entry %i given as %j', async (index, given, form) => {
    const receipt = round.receipt(log, index, [anchor]);
    const verdict = await verify(receipt, { evm: [chain] }, { payload: utf8(given) });
    expect([verdict.result, verdict.existedBefore, codes(verdict, 'content')]).toEqual([
      'unproven',
      null,
      ['content-re-ended'],
    ]);
    expect(verdict.claims[0]?.says).toContain(`it matches ${form}: its line ends`);
  });

  test('does not excuse another text, or another digest', async () => {
    const receipt = round.receipt(log, 3, [anchor]);
    for (const content of [
      { payload: utf8('another line\n') },
      { payload: utf8('one line\n'), digest: seeded('another') },
      { payload: utf8('one line\n\n') },
      { payload: new Uint8Array(0) },
    ]) {
      expect((await verify(receipt, { evm: [chain] }, content)).result).toBe('refuted');
    }
  });
});

test('every code has shown itself above with the status it stands for, and its page explains each', () => {
  const others = [OTS_CODES, TLOG_CODES, COSE_CODES, TSA_CODES, TOKEN_LOG_CODES];
  for (const code of others.flat()) seen.set(code, VERDICT_CODES[code]);
  expect([...seen].sort()).toEqual(Object.entries(VERDICT_CODES).sort());
  const page = readFileSync(new URL('../../docs/verdict-codes.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (\w+) \|/gm)].map(([, code, status]) => [code, status]);
  expect(rows.sort()).toEqual(Object.entries(VERDICT_CODES).sort());
});
