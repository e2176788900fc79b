// OpenTimestamps: in receipts, and in .ots files of any origin.

import { describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { BITCOIN, parseHeader, REGTEST } from '../../src/core/bitcoin-header.ts';
import type { HeaderSource } from '../../src/core/bitcoin-source.ts';
import { concat, fromBase64, fromHex, toBase64, toHex, utf8 } from '../../src/core/bytes.ts';
import type { OpenTimestampsAnchor } from '../../src/core/receipt.ts';
import { formatTime } from '../../src/core/time.ts';
import { type Claim, VERDICT_CODES } from '../../src/core/verdict.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { serializeOtsFile } from '../../src/ots/file.ts';
import { contentDigest, type HashKind } from '../../src/ots/operation.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { mergeTimestamps, type Timestamp, TimestampBuilder } from '../../src/ots/timestamp.ts';
import { type Trust, type Verdict, verifyReceipt, verifyTimestamp } from '../../src/verify/verify.ts';
import { GENESIS, SECOND } from '../bitcoin/chain-server.ts';
import { example } from '../ots/examples.ts';
import { mutated } from '../ots/mutation.ts';
import { MemoryBitcoin, TESTNET, way } from '../support/memory-bitcoin.ts';
import { EPOCH, MemoryChain, MemoryLog, MemoryRound, provenReceipt, seeded } from '../support/receipts.ts';
import { OTS_CODES } from './ots-codes.ts';

const seen = new Set<string>();

function held(verdict: Verdict): Verdict {
  const parsed = verdictSchema.parse(verdict);
  for (const { code, status, grounds } of parsed.claims) {
    seen.add(code);
    expect([code, status]).toEqual([code, Object.entries(VERDICT_CODES).find(([each]) => each === code)?.[1]]);
    if (status === 'verified') expect(grounds).not.toBe('none');
  }
  expect(parsed.existedBefore !== null).toBe(parsed.result === 'proven');
  return parsed;
}

const { log, round, payload, local } = provenReceipt();
const anchors = (verdict: Verdict): Claim[] => verdict.claims.filter(({ claim }) => claim === 'anchor');
const codes = (verdict: Verdict): string[] => anchors(verdict).map(({ code }) => code);

const receiptWith = (...given: OpenTimestampsAnchor[]) => round.receipt(log, 5, given);
const verify = async (anchor: OpenTimestampsAnchor, trust: Trust): Promise<Verdict> =>
  held(await verifyReceipt({ receipt: receiptWith(anchor), payload }, trust));
const outcome = async (anchor: OpenTimestampsAnchor, trust: Trust): Promise<[string, string[]]> => {
  const verdict = await verify(anchor, trust);
  return [verdict.result, codes(verdict)];
};

const silent = (chain = BITCOIN): HeaderSource => {
  const fail = (): Promise<never> => Promise.reject(new Error('the wire is cut'));
  return { grounds: 'esplora', chain, describe: () => 'the broken server', header: fail, height: fail };
};

describe('the anchor of a receipt', () => {
  test('proven by a node, by Esplora, each named as the ground it rests on', async () => {
    for (const grounds of ['bitcoin-node', 'esplora'] as const) {
      const chain = new MemoryBitcoin();
      chain.grounds = grounds;
      const anchor = chain.anchor(round.root);
      const verdict = await verify(anchor, { bitcoin: [chain] });
      const block = anchor.blocks[0];
      expect(verdict).toMatchObject({
        result: 'proven',
        existedBefore: {
          time: block?.time,
          tolerance: 7_200_000,
          chain: BITCOIN,
          block: { number: 20, hash: parseHeader(fromHex(block?.header ?? '')).hash },
        },
      });
      expect(anchors(verdict)).toMatchObject([
        { code: 'attestation-confirmed', chain: BITCOIN, grounds, time: block?.time },
      ]);
    }
  });

  test('proven by the hash of the block alone, in either case', async () => {
    const chain = new MemoryBitcoin(TESTNET);
    const anchor = chain.anchor(round.root);
    const { hash } = parseHeader(chain.headers[20] ?? GENESIS);
    for (const given of [hash, hash.toUpperCase()]) {
      const verdict = await verify(anchor, { blockHashes: [given] });
      expect(verdict).toMatchObject({ result: 'proven', existedBefore: { block: { hash } } });
      expect(anchors(verdict)).toMatchObject([{ code: 'anchor-proven', grounds: 'block-hash' }]);
    }
    for (const given of [`0x${hash}`, parseHeader(chain.headers[21] ?? GENESIS).hash]) {
      expect(await outcome(anchor, { blockHashes: [given] })).toEqual(['unproven', ['bitcoin-source-missing']]);
    }
    // Where no source answers the hash still proves; where one contradicts, whom to believe is not for us to say.
    const trust = { blockHashes: [hash] };
    expect(await outcome(anchor, { ...trust, bitcoin: [silent(TESTNET)] })).toEqual(['proven', ['anchor-proven']]);
    const other = new MemoryBitcoin(TESTNET, 'other');
    other.mine(20);
    expect(await outcome(anchor, { ...trust, bitcoin: [other] })).toEqual(['unproven', ['anchor-moved']]);
  });

  test('the hash of a block of a test network proves nothing about Bitcoin', async () => {
    const chain = new MemoryBitcoin();
    const trust = { blockHashes: [parseHeader(chain.headers[20] ?? GENESIS).hash] };
    const anchor = chain.anchor(round.root);
    trust.blockHashes.push(parseHeader(chain.headers[20] ?? GENESIS).hash);
    expect(await outcome(anchor, trust)).toEqual(['unproven', ['other-chain-instance']]);
  });

  test('unverified while nobody is asked: the sentence says what to look for', async () => {
    const chain = new MemoryBitcoin();
    const verdict = await verify(chain.anchor(round.root), {});
    expect([verdict.result, codes(verdict)]).toEqual(['unproven', ['bitcoin-source-missing']]);
    expect(anchors(verdict)[0]?.says).toContain(parseHeader(chain.headers[20] ?? GENESIS).hash);
  });

  test.each<[string, (chain: MemoryBitcoin) => HeaderSource[], string, string]>([
    ['does not answer', () => [silent()], 'unproven', 'source-failed'],
    ['is of another chain', () => [new MemoryBitcoin(TESTNET)], 'unproven', 'bitcoin-source-missing'],
    ['is far behind', () => [new MemoryBitcoin(BITCOIN)], 'unproven', 'source-behind'],
    ['has another block there', () => [longer('other')], 'unproven', 'anchor-moved'],
    ['agrees, and another does not', (chain) => [chain, longer('other')], 'unproven', 'anchor-moved'],
    ['agrees, and another is silent', (chain) => [silent(), chain], 'proven', 'attestation-confirmed'],
  ])('a source that %s', async (_, sources, result, code) => {
    const chain = new MemoryBitcoin();
    const anchor = chain.anchor(round.root);
    expect(await outcome(anchor, { bitcoin: sources(chain) })).toEqual([result, [code]]);
  });

  test('five blocks are not enough, six are', async () => {
    const chain = new MemoryBitcoin();
    const anchor = chain.anchor(round.root, { depth: 5 });
    expect(await outcome(anchor, { bitcoin: [chain] })).toEqual(['unproven', ['anchor-not-final']]);
    chain.mine(1);
    expect(await outcome(anchor, { bitcoin: [chain] })).toEqual(['proven', ['attestation-confirmed']]);
  });

  test('a regtest chain started anew does not refute, unless it is known to be the same', async () => {
    const chain = new MemoryBitcoin(REGTEST);
    const anchor = chain.anchor(round.root);
    const anew = longer('anew', REGTEST);
    expect(await outcome(anchor, { bitcoin: [anew] })).toEqual(['unproven', ['other-chain-instance']]);

    const { headers } = anew;
    const hash = fromHex(parseHeader(headers[9] ?? GENESIS).hash);
    const beaten = new MemoryRound([log], { beacons: [{ chain: REGTEST, height: 9, hash }] });
    const receipt = beaten.receipt(log, 5, [chain.anchor(beaten.root)]);
    const verdict = held(await verifyReceipt({ receipt }, { bitcoin: [anew] }));
    expect([verdict.result, codes(verdict)]).toEqual(['unproven', ['anchor-moved']]);
    expect(verdict.claims).toContainEqual(
      expect.objectContaining({ code: 'beacon-confirmed', grounds: 'bitcoin-node' }),
    );
  });

  test('a Bitcoin beacon bounds the round from below', async () => {
    const chain = new MemoryBitcoin();
    const header = chain.headers[14] ?? GENESIS;
    const beacon = { chain: BITCOIN, height: 14, hash: fromHex(parseHeader(header).hash) };
    const bounded = new MemoryRound([log], { beacons: [beacon] });
    const receipt = bounded.receipt(log, 5, [chain.anchor(bounded.root)]);
    const { notBefore, existedBefore, result } = held(await verifyReceipt({ receipt }, { bitcoin: [chain] }));
    expect(result).toBe('proven');
    expect(notBefore).toEqual({
      time: formatTime(parseHeader(header).time),
      tolerance: 7_200_000,
      chain: BITCOIN,
      block: { number: 14, hash: parseHeader(header).hash },
    });
    expect(String(existedBefore?.time) > String(notBefore?.time)).toBe(true);
    const wrong = held(await verifyReceipt({ receipt }, { bitcoin: [longer('other')] }));
    expect(wrong.claims.filter(({ claim }) => claim === 'not-before')).toMatchObject([{ code: 'beacon-not-on-chain' }]);
    const shallow = new MemoryRound([log], { beacons: [{ ...beacon, height: chain.headers.length - 5 }] });
    const early = held(await verifyReceipt({ receipt: shallow.receipt(log, 5) }, { bitcoin: [chain] }));
    expect(early.claims).toContainEqual(expect.objectContaining({ code: 'beacon-not-final' }));
  });

  test('pending: which calendar to ask for what', async () => {
    const builder = new TimestampBuilder(round.root);
    const end = builder.follow(way('calendar')).attest({ kind: 'pending', uri: 'https://calendar.example' });
    const timestamp = toBase64(serializeTimestamp(builder.finish()));
    const verdict = await verify({ type: 'opentimestamps', status: 'pending', timestamp }, {});
    expect([verdict.result, codes(verdict)]).toEqual(['unproven', ['attestation-pending']]);
    expect(anchors(verdict)[0]?.says).toContain('https://calendar.example');
    expect(anchors(verdict)[0]?.says).toContain(toHex(end.message));
  });

  test('beside an anchor on another chain the earlier block counts', async () => {
    const chain = new MemoryBitcoin();
    const evm = local.anchor(round.root);
    const receipt = round.receipt(log, 5, [chain.anchor(round.root), evm]);
    const verdict = held(await verifyReceipt({ receipt, payload }, { bitcoin: [chain], evm: [local] }));
    expect(verdict.existedBefore).toMatchObject({ chain: evm.chain });
    expect(codes(verdict)).toEqual(['attestation-confirmed', 'anchor-final']);
  });

  test('of two anchors the one counts that allows the earlier time at the latest', async () => {
    const chain = new MemoryBitcoin();
    const anchor = chain.anchor(round.root);
    // Its block is stamped an hour after that of Bitcoin, and cannot be two hours off.
    const later = new MemoryChain('eip155:10');
    for (let n = 0; n < 15_600; n++) later.mine();
    const receipt = round.receipt(log, 5, [anchor, later.anchor(round.root)]);
    const verdict = held(await verifyReceipt({ receipt, payload }, { bitcoin: [chain], evm: [later] }));
    expect(verdict.existedBefore).toMatchObject({ chain: 'eip155:10' });
    expect(String(verdict.existedBefore?.time) > String(anchor.blocks[0]?.time)).toBe(true);
  });

  test('a block of Bitcoin stamped before the round was formed does not contradict that, within its tolerance', async () => {
    for (const [blocks, result] of [
      [19_000, 'proven'],
      [19_300, 'unproven'],
    ] as const) {
      const beacons = new MemoryChain('eip155:10');
      for (let n = 0; n < blocks; n++) beacons.mine();
      const bounded = new MemoryRound([log], { beacons: [beacons.beacon()] });
      const chain = new MemoryBitcoin();
      const receipt = bounded.receipt(log, 5, [chain.anchor(bounded.root)]);
      const verdict = held(await verifyReceipt({ receipt, payload }, { bitcoin: [chain], evm: [beacons] }));
      expect([verdict.result, verdict.notBefore === null, verdict.existedBefore === null]).toEqual([
        result,
        result === 'unproven',
        result === 'unproven',
      ]);
      if (result === 'unproven') expect(codes(verdict)).toEqual(['times-contradict']);
    }
  });

  test('miners may set a time back: two hours more are granted to the time of receipt', async () => {
    for (const [late, code] of [
      [7_275_000, 'operators-word'],
      [7_275_001, 'received-after-anchor'],
    ] as const) {
      const late20 = EPOCH + 20 * 600_000 + late;
      const clock = new MemoryLog('clock');
      clock.append('line', { receivedAt: late20 });
      const closed = new MemoryRound([clock], { closedAt: late20 });
      const chain = new MemoryBitcoin();
      const receipt = closed.receipt(clock, 0, [chain.anchor(closed.root)]);
      const verdict = held(await verifyReceipt({ receipt }, { bitcoin: [chain] }));
      expect([verdict.result, verdict.claims.find(({ claim }) => claim === 'received-at')?.code]).toEqual([
        'proven',
        code,
      ]);
    }
  });
});

describe('an anchor that contradicts itself is refuted without any source', () => {
  const chain = new MemoryBitcoin(TESTNET);
  const anchor = chain.anchor(round.root);
  const [block] = anchor.blocks;
  if (block === undefined) throw new Error('no block');
  const other = chain.anchor(seeded('another root'));

  test.each<[string, OpenTimestampsAnchor, string[]]>([
    ['the timestamp of another root', { ...other, blocks: anchor.blocks }, ['proof-broken']],
    ['no timestamp at all', { ...anchor, timestamp: toBase64(utf8('no timestamp')) }, ['timestamp-invalid']],
    [
      'a timestamp cut short',
      { ...anchor, timestamp: toBase64(fromBase64(anchor.timestamp).slice(0, -1)) },
      ['timestamp-invalid'],
    ],
    ['no base64', { ...anchor, timestamp: 'AAAAA' }, ['timestamp-invalid']],
    ['the header of another block', { ...anchor, blocks: other.blocks }, ['proof-broken']],
    ['another height', { ...anchor, blocks: [{ ...block, height: 21 }] }, ['proof-broken']],
    ['another time', { ...anchor, blocks: [{ ...block, time: formatTime(EPOCH) }] }, ['anchor-block-differs']],
    ['a block too many', { ...anchor, blocks: [block, ...other.blocks] }, ['proof-broken']],
  ])('%s', async (_, altered, expected) => {
    expect(await outcome(altered, {})).toEqual(['refuted', expected]);
  });

  test('an attestation to what is no merkle root', async () => {
    const builder = new TimestampBuilder(round.root);
    builder.apply({ kind: 'append', argument: Uint8Array.of(1) }).attest({ kind: 'bitcoin', height: 20 });
    const timestamp = toBase64(serializeTimestamp(builder.finish()));
    const pending = { type: 'opentimestamps', status: 'pending', timestamp } as const;
    expect(await outcome(pending, { bitcoin: [chain] })).toEqual(['refuted', ['proof-broken']]);
  });
});

describe('changed by one bit, a confirmed anchor never proves more than it did', () => {
  const chain = new MemoryBitcoin(TESTNET);
  const [first, second] = ['alice', 'bob'].map((label) => chain.timestamp(round.root, { label }));
  if (first === undefined || second === undefined) throw new Error('no timestamps');
  const pending = new TimestampBuilder(round.root);
  pending.follow(way('pending')).attest({ kind: 'pending', uri: 'https://calendar.example' });
  const merged = serializeTimestamp(mergeTimestamps(first.timestamp, second.timestamp, pending.finish()));
  const anchor: OpenTimestampsAnchor = {
    type: 'opentimestamps',
    status: 'confirmed',
    timestamp: toBase64(merged),
    blocks: [chain.carried(first.height), chain.carried(second.height)],
  };
  const hashes = anchor.blocks?.map(({ header }) => parseHeader(fromHex(header)).hash) ?? [];
  const trusts: [string, Trust][] = [
    ['a node', { bitcoin: [chain] }],
    ['block hashes', { blockHashes: hashes }],
  ];

  function* flipped(bytes: Uint8Array): Generator<Uint8Array> {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const copy = Uint8Array.from(bytes);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
      yield copy;
    }
  }

  test.each(trusts)('the timestamp, by %s', async (_, trust) => {
    const truth = (await verify(anchor, trust)).existedBefore;
    const moments = await Promise.all(
      [first, second].map(async ({ timestamp, height }) => {
        const alone = { timestamp: toBase64(serializeTimestamp(timestamp)), blocks: [chain.carried(height)] };
        return (await verify({ ...anchor, status: 'confirmed', ...alone }, trust)).existedBefore;
      }),
    );
    expect(moments).toContainEqual(truth);
    const results = { proven: 0, refuted: 0, unproven: 0 };
    for (const timestamp of flipped(merged)) {
      const verdict = await verifyReceipt(
        { receipt: receiptWith({ ...anchor, timestamp: toBase64(timestamp) }) },
        trust,
      );
      results[verdict.result]++;
      // What one change cannot break is the way to the other block, and what is merely promised.
      if (verdict.result === 'proven') expect(moments).toContainEqual(verdict.existedBefore);
    }
    expect(results.refuted).toBeGreaterThan(500);
    expect(results.unproven).toBe(0);
  });

  test.each(trusts)('with one way alone nothing but the truth is left, by %s', async (_, trust) => {
    const { timestamp, height } = first;
    const alone = { ...anchor, status: 'confirmed' as const, blocks: [chain.carried(height)] };
    for (const bytes of flipped(serializeTimestamp(timestamp))) {
      const receipt = receiptWith({ ...alone, timestamp: toBase64(bytes) });
      expect((await verifyReceipt({ receipt }, trust)).result).not.toBe('proven');
    }
  });

  test.each(trusts)('the header, height, time and chain, by %s', async (_, trust) => {
    const block = chain.carried(first.height);
    const alone = { ...anchor, timestamp: toBase64(serializeTimestamp(first.timestamp)), status: 'confirmed' as const };
    const truth = (await verify({ ...alone, blocks: [block] }, trust)).existedBefore;
    expect(truth).not.toBeNull();
    for (const header of flipped(fromHex(block.header))) {
      const { result } = await verify({ ...alone, blocks: [{ ...block, header: toHex(header) }] }, trust);
      // Another header that leads to the same merkle root has another hash, which nobody gave.
      expect(['refuted', 'unproven']).toContain(result);
    }
    for (let bit = 0; bit < 30; bit++) {
      expect(
        (await verify({ ...alone, blocks: [{ ...block, height: block.height ^ (1 << bit) }] }, trust)).result,
      ).toBe('refuted');
    }
    for (const chainId of [BITCOIN, REGTEST, `bip122:${'f'.repeat(32)}`]) {
      const verdict = await verify({ ...alone, blocks: [{ ...block, chain: chainId }] }, { bitcoin: trust.bitcoin });
      expect([verdict.result, verdict.existedBefore]).toEqual(['unproven', null]);
    }
  });
});

describe('bounds', () => {
  test('a receipt full of attestations makes no more claims than a verdict holds, and few questions', async () => {
    const chain = new MemoryBitcoin();
    const builder = new TimestampBuilder(round.root);
    for (let i = 0; i < 2_000; i++) builder.attest({ kind: 'bitcoin', height: i });
    const timestamp = toBase64(serializeTimestamp(builder.finish()));
    const crowded = { type: 'opentimestamps', status: 'pending', timestamp } as const;
    for (const count of [1, 5, 16]) {
      const receipt = receiptWith(...Array.from({ length: count }, () => crowded));
      const verdict = held(await verifyReceipt({ receipt }, { bitcoin: [chain] }));
      // Those that all timestamps of a receipt have no more work for are not read.
      const cut = codes(verdict).filter((code) => code === 'attestations-left-out' || code === 'proof-not-read');
      expect(cut).toHaveLength(count);
      expect(verdict.claims.length).toBeLessThanOrEqual(64);
      if (count > 1) continue;
      const [left, all] = anchors(verdict).at(-1)?.says.match(/\d+/g)?.map(Number) ?? [];
      expect([left, all]).toEqual([2_001 - anchors(verdict).length, 2_000]);
    }
    const blocks = Array.from({ length: 16 }, (_, i) => chain.carried(i));
    const faulty = receiptWith(
      ...Array.from({ length: 16 }, () => ({ ...crowded, status: 'confirmed' as const, blocks })),
    );
    expect(held(await verifyReceipt({ receipt: faulty }, {})).result).toBe('refuted');
    expect(chain.asked).toBeLessThan(150);
  });

  test('what asks for too much work is not read, which refutes nothing', async () => {
    const big = { kind: 'append', argument: new Uint8Array(4_000) } as const;
    const branch = concat(
      Uint8Array.of(0xff, 0xf0),
      fromHex('a01f'),
      big.argument,
      Uint8Array.of(8, 0),
      fromHex('010203040506070800'),
    );
    const many = Array.from({ length: 60 }, () => branch);
    const end = concat(Uint8Array.of(0), fromHex('010203040506070800'));
    const head = serializeOtsFile({ hash: 'sha256', timestamp: unknownAt(seeded('x')) }).subarray(0, 65);
    const file = concat(head, ...many, end);
    expect(file.length).toBeLessThan(262_144);
    const verdict = held(await verifyTimestamp({ ots: concat(file, new Uint8Array(30_000)) }, {}));
    expect([verdict.result, codes(verdict)]).toEqual(['unproven', ['proof-not-read']]);
  });
});

/** A height that attestations to Bitcoin can have. */
const MODERN = 900_000;

const chainOf = ({ existedBefore }: Verdict): string | undefined =>
  existedBefore !== null && 'chain' in existedBefore ? existedBefore.chain : undefined;

function longer(instance: string, chain = BITCOIN, first = 0): MemoryBitcoin {
  const made = new MemoryBitcoin(chain, instance, first);
  made.mine(20);
  return made;
}

function unknownAt(message: Uint8Array): Timestamp {
  const attestation = { kind: 'unknown', tag: fromHex('0102030405060708'), payload: new Uint8Array(0) } as const;
  return new TimestampBuilder(message).attest(attestation).finish();
}

describe('an .ots file', () => {
  const content = utf8('what the file is about');
  const fileOf = (timestamp: Timestamp, hash: HashKind = 'sha256'): Uint8Array => serializeOtsFile({ hash, timestamp });

  test.each(['sha256', 'sha1', 'ripemd160', 'keccak256'] as const)(
    'of a %s digest, by content and by digest',
    async (hash) => {
      const chain = new MemoryBitcoin();
      const digest = contentDigest(hash, content);
      const ots = fileOf(chain.timestamp(digest).timestamp, hash);
      for (const given of [{ payload: content }, { digest }, { payload: content, digest }]) {
        const verdict = held(await verifyTimestamp({ ots, ...given }, { bitcoin: [chain] }));
        expect([verdict.result, verdict.claims.map(({ code }) => code)]).toEqual([
          'proven',
          ['content-matches', 'attestation-confirmed'],
        ]);
      }
      for (const given of [
        { payload: content.slice(1) },
        { digest: sha256(seeded('x')) },
        { payload: content, digest: digest.slice(1) },
      ]) {
        const verdict = held(await verifyTimestamp({ ots, ...given }, { bitcoin: [chain] }));
        expect([verdict.result, verdict.existedBefore, verdict.claims[0]?.code]).toEqual([
          'refuted',
          null,
          'content-differs',
        ]);
      }
      const unsaid = held(await verifyTimestamp({ ots }, { bitcoin: [chain] }));
      expect([unsaid.result, unsaid.claims[0]?.code]).toEqual(['proven', 'content-not-given']);
    },
  );

  test('of the first transaction there was, by the first block', async () => {
    const transaction = fromHex(
      `01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d010445${toHex(
        utf8('The Times 03/Jan/2009 Chancellor on brink of second bailout for banks'),
      )}ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000`,
    );
    const builder = new TimestampBuilder(sha256(transaction));
    builder.apply({ kind: 'sha256' }).attest({ kind: 'bitcoin', height: 0 });
    const chain = new MemoryBitcoin();
    chain.headers.splice(0, 2, GENESIS, SECOND);
    const ots = fileOf(builder.finish());
    const verdict = held(await verifyTimestamp({ ots, payload: transaction }, { bitcoin: [chain] }));
    expect(verdict.existedBefore).toEqual({
      time: '2009-01-03T18:15:05.000Z',
      tolerance: 7_200_000,
      chain: BITCOIN,
      block: { number: 0, hash: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f' },
    });
    // The file has no header whose hash could be compared: the header itself is enough, and another one proves nothing.
    const byHeader = held(await verifyTimestamp({ ots, payload: transaction }, { blockHashes: [toHex(GENESIS)] }));
    expect([byHeader.existedBefore, codes(byHeader)]).toEqual([verdict.existedBefore, ['anchor-proven']]);
    for (const other of [toHex(SECOND), parseHeader(GENESIS).hash]) {
      const open = held(await verifyTimestamp({ ots, payload: transaction }, { blockHashes: [other] }));
      expect([open.result, codes(open)]).toEqual(['unproven', ['bitcoin-source-missing']]);
    }
    const testnet = new MemoryBitcoin(TESTNET);
    const { timestamp, height } = testnet.timestamp(sha256(content));
    const easy = toHex(testnet.headers[height] ?? GENESIS);
    const elsewhere = held(await verifyTimestamp({ ots: fileOf(timestamp) }, { blockHashes: [easy] }));
    expect([elsewhere.result, codes(elsewhere)]).toEqual(['unproven', ['other-chain-instance']]);
  });

  test('with attestations of every kind: each is listed', async () => {
    const chain = new MemoryBitcoin(BITCOIN, 'first', MODERN);
    const { timestamp, height } = chain.timestamp(sha256(content));
    const builder = new TimestampBuilder(sha256(content)).add(timestamp);
    builder.attest({ kind: 'pending', uri: 'https://calendar.example' });
    builder.attest({ kind: 'litecoin', height: 7 }).attest({ kind: 'ethereum', height: 8 });
    builder.attest({ kind: 'unknown', tag: fromHex('0102030405060708'), payload: utf8('?') });
    builder.follow(way('nowhere')).attest({ kind: 'bitcoin', height: MODERN + 3 });
    const ots = fileOf(builder.finish());
    const verdict = held(await verifyTimestamp({ ots, payload: content }, { bitcoin: [chain] }));
    expect(verdict).toMatchObject({ result: 'proven', existedBefore: { block: { number: height } } });
    expect(anchors(verdict).map(({ code, grounds }) => [code, grounds])).toEqual([
      ['attestation-differs', 'bitcoin-node'],
      ['attestation-confirmed', 'bitcoin-node'],
      ['attestation-pending', 'none'],
      ['attestation-unsupported', 'none'],
      ['attestation-unsupported', 'none'],
      ['attestation-unknown', 'none'],
    ]);
    expect(anchors(verdict).at(-1)?.says).toContain('0102030405060708');
    const unasked = held(await verifyTimestamp({ ots, payload: content }, {}));
    expect([unasked.result, ...codes(unasked).slice(0, 2)]).toEqual([
      'unproven',
      'bitcoin-source-missing',
      'bitcoin-source-missing',
    ]);
  });

  test('a source of a test network does not refute, and proves what it has', async () => {
    const main = new MemoryBitcoin(BITCOIN, 'first', MODERN);
    const ots = fileOf(main.timestamp(sha256(content)).timestamp);
    const by = async (...bitcoin: HeaderSource[]): Promise<unknown[]> => {
      const verdict = held(await verifyTimestamp({ ots }, { bitcoin }));
      return [verdict.result, ...codes(verdict), chainOf(verdict)];
    };
    expect(await by(longer('test', TESTNET, MODERN))).toEqual(['unproven', 'other-chain-instance', undefined]);
    expect(await by(longer('test', TESTNET, MODERN), main)).toEqual(['proven', 'attestation-confirmed', BITCOIN]);
    expect(await by(longer('other', BITCOIN, MODERN))).toEqual(['refuted', 'attestation-differs', undefined]);
    expect(await by(longer('other', BITCOIN, MODERN), main)).toEqual(['refuted', 'attestation-differs', undefined]);
    expect(await by(silent(), main)).toEqual(['proven', 'attestation-confirmed', BITCOIN]);
    const local = new MemoryBitcoin(REGTEST);
    const own = fileOf(local.timestamp(sha256(content)).timestamp);
    const verdict = held(await verifyTimestamp({ ots: own }, { bitcoin: [longer('other'), local] }));
    expect([verdict.result, chainOf(verdict)]).toEqual(['proven', REGTEST]);
    // Made on a test network, and compared with Bitcoin: nothing is contradicted.
    const elsewhere = held(await verifyTimestamp({ ots: own }, { bitcoin: [longer('other')] }));
    expect([elsewhere.result, ...codes(elsewhere)]).toEqual(['unproven', 'other-chain-instance']);
  });

  test('of the real world', async () => {
    const ots = example('hello-world.txt.ots');
    const verdict = held(await verifyTimestamp({ ots, payload: utf8('Hello World!\n') }, {}));
    expect([verdict.result, ...verdict.claims.map(({ code }) => code)]).toEqual([
      'unproven',
      'content-matches',
      'bitcoin-source-missing',
    ]);
    // What is to be found in any block explorer.
    expect(anchors(verdict)[0]?.says).toContain('8a1b66ecb7cbd07d8139a7e7d7f2c41aab1f5009b8364aaf61d03ad245e47e00');
    expect(anchors(verdict)[0]?.says).toContain('358391');
  });

  test('that breaks its format is refuted; what is none is an error', async () => {
    const chain = new MemoryBitcoin();
    const ots = fileOf(chain.timestamp(sha256(content)).timestamp);
    for (let length = 31; length < ots.length; length++) {
      const verdict = held(
        await verifyTimestamp({ ots: ots.slice(0, length), payload: content }, { bitcoin: [chain] }),
      );
      expect([verdict.result, codes(verdict)]).toEqual(['refuted', ['timestamp-invalid']]);
    }
    const newer = Uint8Array.from(ots, (byte, i) => (i === 31 ? 2 : byte));
    const unread = held(await verifyTimestamp({ ots: newer, payload: content }, { bitcoin: [chain] }));
    expect([unread.result, codes(unread)]).toEqual(['unproven', ['proof-not-read']]);
    for (const none of [new Uint8Array(0), utf8('{"format":"antequem-receipt/v1"}'), ots.slice(1), ots.slice(0, 30)]) {
      await expect(verifyTimestamp({ ots: none }, {})).rejects.toMatchObject({ name: 'OtsError' });
    }
  });

  test('changed at random: never proven but by the way it had', async () => {
    const chain = new MemoryBitcoin();
    const { timestamp } = chain.timestamp(sha256(content));
    const ots = fileOf(timestamp);
    const truth = (await verifyTimestamp({ ots, payload: content }, { bitcoin: [chain] })).existedBefore;
    let refused = 0;
    for (let seed = 0; seed < 2_000; seed++) {
      try {
        const verdict = await verifyTimestamp({ ots: mutated(ots, seed), payload: content }, { bitcoin: [chain] });
        if (verdict.result === 'proven') expect(verdict.existedBefore).toEqual(truth);
        else refused++;
      } catch (error) {
        expect(error).toMatchObject({ name: 'OtsError' });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1_500);
  });
});

test('every code that OpenTimestamps has shown itself above', () => {
  expect(OTS_CODES.filter((code) => !seen.has(code))).toEqual([]);
});
