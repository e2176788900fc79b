// From a block's hash to the round's root by bytes alone: real blocks of every type of transaction, and every byte.

import { createMerkleProof, createMPT, verifyMerkleProof } from '@ethereumjs/mpt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ANCHORED_TOPIC, ANCHORING_SELECTORS } from '../../src/core/anchored-event.ts';
import { toHex } from '../../src/core/bytes.ts';
import { readEvmReceipt, readHeader } from '../../src/core/evm-bytes.ts';
import { checkEvmProof, indexKey, type ProofCheck } from '../../src/core/evm-proof.ts';
import { keccak256 } from '../../src/core/keccak.ts';
import { type EvmProof, evmProofSchema, type IncludedEvmAnchor } from '../../src/core/receipt-schema.ts';
import { decodeRlp, encodeRlp, type Rlp } from '../../src/core/rlp.ts';
import { formatTime } from '../../src/core/time.ts';
import { walkTrie } from '../../src/core/trie.ts';
import { ANCHOR_ADDRESS, ANCHOR_INTERFACE } from '../../src/evm/anchor-contract.ts';
import { type RebuiltBlock, rebuildBlock } from '../../src/evm/block.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { ListTrie } from '../../src/evm/list-trie.ts';
import { rpcNode } from '../../src/evm/node.ts';
import { exitCode, verifyReceipt } from '../../src/verify/verify.ts';
import { anvilChain, noAnvil } from '../support/anvil-chain.ts';
import {
  anchorAmong,
  anchorIn,
  bytes,
  type CallOptions,
  hex,
  type OutcomeOptions,
  outcomeOf,
  sealBlock,
  transactionOf,
} from '../support/blocks.ts';
import { placeContract, type TestChain, testChain } from '../support/chain.ts';
import { type MixedBlock, mineMixedBlock } from '../support/mixed-blocks.ts';
import { provenReceipt, seeded } from '../support/receipts.ts';

const { log, round, payload, receipt: withNodes } = provenReceipt();
const root = toHex(round.root);
const index = withNodes.entry.index;

const verdictOn = (anchor: IncludedEvmAnchor, ...blockHashes: string[]) =>
  verifyReceipt({ receipt: round.receipt(log, index, [anchor]), payload }, { key: log.verifierKey, blockHashes });

/** The nodes of the other implementation's proof that stand by themselves; ours leaves out those within others. */
async function otherProofs(
  values: readonly Uint8Array[],
): Promise<{ root: Uint8Array; prove: (i: number) => Promise<Uint8Array[]> }> {
  const trie = await createMPT();
  for (const [i, value] of values.entries()) await trie.put(indexKey(i), value);
  return {
    root: trie.root(),
    prove: async (i) =>
      (await createMerkleProof(trie, indexKey(i))).filter((node, at) => at === 0 || node.length >= 32),
  };
}

const hashes = async (trie: ListTrie, count: number): Promise<void> => {
  const values = Array.from({ length: count }, (_, i) => trie.value(i) ?? new Uint8Array(0));
  const other = await otherProofs(values);
  expect(hex(trie.root)).toBe(hex(other.root));
  for (const [i, value] of values.entries()) {
    const ours = trie.prove(i);
    expect(ours.map(hex)).toEqual((await other.prove(i)).map(hex));
    expect(hex(walkTrie(trie.root, indexKey(i), ours))).toBe(hex(value));
    // What it says of our proof, where the keys change their form; that takes it some milliseconds each.
    if (![0, 1, 127, 128, values.length - 1].includes(i)) continue;
    const theirs = await verifyMerkleProof(indexKey(i), ours, { root: trie.root });
    expect(hex(theirs ?? new Uint8Array(0))).toBe(hex(value));
  }
};

const table: { chain: string; transactions: number; types: string; proofs: number; proven: number; nodes: number }[] =
  [];

describe.each([
  // Hardhat mines a blob transaction in a block of its own alone.
  {
    name: 'Hardhat',
    skip: null,
    open: testChain,
    counts: [1, 2, 127, 128, 129, 300],
    blobs: 0,
    alone: [0, 1, 2, 3, 4],
  },
  {
    name: 'Hardhat, Amsterdam',
    skip: null,
    open: () => testChain({ hardfork: 'amsterdam' }),
    counts: [1, 2, 20],
    blobs: 0,
    alone: [3],
  },
  { name: 'anvil', skip: noAnvil, open: () => anvilChain(), counts: [2, 129], blobs: 2, alone: [4] },
])('blocks of $name', ({ name, skip, open, counts, blobs, alone }) => {
  let chain: TestChain;
  beforeAll(async () => {
    if (skip !== null) return;
    chain = await open();
    if (name.includes('Amsterdam')) await placeContract(chain.provider);
    else await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  });
  afterAll(async () => {
    await chain?.[Symbol.asyncDispose]();
  });

  const rebuild = async (block: MixedBlock): Promise<{ block: RebuiltBlock; anchors: IncludedEvmAnchor[] }> => {
    const [source] = rpcNode({ url: chain.url }).sources;
    if (source === undefined) throw new Error('no endpoint');
    const rebuilt = await rebuildBlock(source, block.hash);
    const { number, time } = readHeader(rebuilt.header);
    const anchors = rebuilt.hashes.map((transaction, i): IncludedEvmAnchor => {
      const proof = {
        header: hex(rebuilt.header),
        index: i,
        transaction: rebuilt.transactions.prove(i).map(hex),
        receipt: rebuilt.receipts.prove(i).map(hex),
        logIndex: 0,
      };
      const identity = {
        type: 'evm',
        chain: 'eip155:31337',
        contract: ANCHOR_ADDRESS.toLowerCase(),
        transaction,
      } as const;
      return { ...identity, status: 'finalized', block: { number, hash: block.hash, time: formatTime(time) }, proof };
    });
    return { block: rebuilt, anchors };
  };

  const examine = async (mined: MixedBlock): Promise<void> => {
    const { block, anchors } = await rebuild(mined);
    const count = anchors.length;
    await hashes(block.transactions, count);
    await hashes(block.receipts, count);
    let proven = 0;
    let nodes = 0;
    for (const [i, anchor] of anchors.entries()) {
      expect(readEvmReceipt(block.receipts.value(i) ?? new Uint8Array(0)).succeeded).toBe(true);
      // Anvil hashes a blob transaction with its blobs, as no other chain does: no proof of ours, which carry no blobs.
      if (mined.types[i] === 3 && name === 'anvil') continue;
      evmProofSchema.parse(anchor.proof);
      expect(await verdictOn(anchor, anchor.block.hash)).toMatchObject({
        result: 'proven',
        existedBefore: { time: anchor.block.time, chain: 'eip155:31337', block: { hash: mined.hash } },
      });
      nodes = Math.max(nodes, anchor.proof?.receipt.length ?? 0);
      proven++;
    }
    const kinds = [...new Set(mined.types)].toSorted().join(' ');
    table.push({ chain: name, transactions: count, types: kinds, proofs: 2 * count, proven, nodes });
  };

  test.skipIf(skip !== null).each(counts)(
    '%i transactions: every proof holds, and is that of @ethereumjs/mpt',
    async (count) => {
      const mixed = Array.from({ length: count }, (_, i) => [0, 1, 2, 4][i % 4] ?? 2);
      if (count > 10) for (let i = 0; i < blobs; i++) mixed[7 * (i + 1)] = 3;
      const mined = await mineMixedBlock(chain, ANCHOR_ADDRESS, round.root, mixed);
      expect(mined.types).toHaveLength(count);
      expect(new Set(mined.types)).toEqual(new Set(mixed));
      await examine(mined);
    },
  );

  test.skipIf(skip !== null).each(alone)('type %i alone', async (type) => {
    const mined = await mineMixedBlock(chain, ANCHOR_ADDRESS, round.root, [type]);
    expect(mined.types).toEqual([type]);
    await examine(mined);
  });
});

test('the table of blocks', () => {
  console.table(table);
  expect(table.reduce((sum, { proven }) => sum + proven, 0)).toBe(noAnvil === null ? 716 + 130 : 716);
});

describe('what the proof must say', () => {
  const block = (call: CallOptions, outcome: OutcomeOptions = {}, others = 3) => {
    const type = call.type ?? 2;
    const transactions = Array.from({ length: others }, (_, i) => transactionOf(seeded(`root ${i}`), { type: i % 5 }));
    const receipts = Array.from({ length: others }, (_, i) => outcomeOf(seeded(`root ${i}`), { type: i % 5 }));
    transactions.splice(1, 0, transactionOf(round.root, call));
    receipts.splice(1, 0, outcomeOf(round.root, { type, ...outcome }));
    return sealBlock(transactions, receipts);
  };
  const check = async (anchor: IncludedEvmAnchor): Promise<string> => {
    const verdict = await verdictOn(anchor, anchor.block.hash);
    const claim = verdict.claims.at(-1);
    expect(claim?.claim).toBe('anchor');
    expect(verdict.result).toBe(
      { verified: 'proven', refuted: 'refuted', unverified: 'unproven' }[claim?.status ?? 'refuted'],
    );
    return claim?.code ?? '';
  };

  test.each([0, 1, 2, 3, 4])('type %i', async (type) => {
    expect(await check(anchorIn(block({ type }), 1))).toBe('anchor-proven');
  });

  test('announced; behind other logs; without a chain in its signature, which the claim then says', async () => {
    const announced = block({ data: `${ANCHORING_SELECTORS[1]}${root}` }, { logsBefore: 3 });
    expect(await check(anchorIn(announced, 1, { logIndex: 3 }))).toBe('anchor-proven');
    expect(await check(anchorIn(announced, 1, { logIndex: 2 }))).toBe('anchor-event-missing');
    expect(await check(anchorIn(announced, 1, { logIndex: 4 }))).toBe('anchor-event-missing');
    const ancient = anchorIn(block({ type: 0, chainId: 0 }), 1);
    expect(await check(ancient)).toBe('anchor-proven');
    const [said, usual] = [ancient, anchorIn(block({}), 1)].map((anchor) => verdictOn(anchor, anchor.block.hash));
    expect((await said)?.claims.at(-1)?.says).toContain('the transaction does not say that it is one of eip155:31337');
    expect((await usual)?.claims.at(-1)?.says).not.toContain('does not say');
  });

  test.each<[string, string, CallOptions, OutcomeOptions]>([
    ['anchor-chain-differs', 'signed for another chain', { chainId: 1 }, {}],
    ['anchor-chain-differs', 'a legacy one signed for another chain', { type: 0, chainId: 1 }, {}],
    ['anchor-transaction-failed', 'failed', {}, { status: 0 }],
    ['anchor-call-differs', 'a call of another contract', { to: hex(seeded('to').slice(0, 20)) }, {}],
    ['anchor-call-differs', 'a call with another root', { data: `${ANCHORING_SELECTORS[0]}${toHex(seeded('x'))}` }, {}],
    ['anchor-call-differs', 'a call of another function', { data: `0x01020304${root}` }, {}],
    ['anchor-call-differs', 'more calldata than that', { data: `${ANCHORING_SELECTORS[0]}${root}00` }, {}],
    ['anchor-event-missing', 'an event of another contract', {}, { emitter: hex(seeded('to').slice(0, 20)) }],
    ['anchor-event-missing', 'another event', {}, { topics: [hex(seeded('t')), hex(seeded('a')), `0x${root}`] }],
    ['anchor-event-missing', 'another root', {}, { topics: [ANCHORED_TOPIC, hex(seeded('a')), hex(seeded('x'))] }],
    ['anchor-event-missing', 'more data', {}, { data: '0x00' }],
    ['proof-broken', 'a receipt of another type', {}, { type: 1 }],
    ['proof-not-read', 'a transaction of a type unknown here', { type: 0x7e }, {}],
  ])('%s: %s', async (code, _, call, outcome) => {
    expect(await check(anchorIn(block(call, outcome), 1))).toBe(code);
  });

  test('a header with fields of a time to come; one that is none', async () => {
    const sealed = anchorIn(block({}), 1);
    const { proof: whole } = sealed;
    if (whole === undefined) throw new Error('no proof');
    const fields = decodeRlp(bytes(whole.header));
    if (!Array.isArray(fields)) throw new Error('the header is no list');
    const withHeader = (items: Rlp[]): IncludedEvmAnchor => {
      const header = encodeRlp(items);
      const proof = { ...whole, header: hex(header) };
      return { ...sealed, block: { ...sealed.block, hash: hex(keccak256(header)) }, proof };
    };
    expect(await check(withHeader([...fields, seeded('later'), []]))).toBe('anchor-proven');
    expect(await check(withHeader(fields.slice(0, 15)))).toBe('anchor-proven');
    expect(await check(withHeader(fields.slice(0, 14)))).toBe('proof-not-read');
    expect(await check(withHeader(fields.with(8, bytes('0x0009'))))).toBe('proof-not-read');
    expect(await check(withHeader(fields.with(11, bytes(`0x${'ff'.repeat(8)}`))))).toBe('proof-not-read');
    expect(await check(withHeader(fields.with(4, seeded('t').slice(1))))).toBe('proof-not-read');
  });

  test('the selectors and the topic are those of the contract', () => {
    const selectors = ['anchor', 'announce'].map((name) => ANCHOR_INTERFACE.getFunction(name)?.selector);
    expect(ANCHORING_SELECTORS).toEqual(selectors);
    expect(ANCHORED_TOPIC).toBe(ANCHOR_INTERFACE.getEvent('Anchored')?.topicHash);
  });
});

describe('what it is checked against', () => {
  const anchor = anchorAmong(round.root);
  const { hash } = anchor.block;

  test('the hash given: proven, exit code 0, by the block hash alone', async () => {
    const verdict = await verdictOn(anchor, hash);
    expect(exitCode(verdict)).toBe(0);
    expect(verdict.claims.at(-1)).toMatchObject({ code: 'anchor-proven', status: 'verified', grounds: 'block-hash' });
    expect(verdict.existedBefore?.time).toBe(anchor.block.time);
    expect((await verdictOn(anchor, hash.toUpperCase().replace('0X', '0x'))).result).toBe('proven');
    expect((await verdictOn(anchor, hex(seeded('another')), hash)).result).toBe('proven');
  });

  test('another hash, or none: unproven, and says which hash would do', async () => {
    for (const given of [[], [hex(seeded('another'))]]) {
      const verdict = await verdictOn(anchor, ...given);
      expect(exitCode(verdict)).toBe(2);
      expect(verdict.claims.at(-1)).toMatchObject({ code: 'no-source', grounds: 'none' });
      expect(verdict.claims.at(-1)?.says).toContain(hash);
    }
  });

  test('another round: refuted without any source', async () => {
    const other = provenReceipt();
    const receipt = other.round.receipt(other.log, index, [anchorAmong(seeded('another root'))]);
    const verdict = await verifyReceipt({ receipt }, {});
    expect([verdict.result, verdict.claims.at(-1)?.code]).toEqual(['refuted', 'anchor-call-differs']);
  });
});

describe('every byte', () => {
  const anchor = anchorAmong(round.root, 300, 170);
  const { proof } = anchor;
  if (proof === undefined) throw new Error('no proof');
  const outcome = (change: Partial<EvmProof>): ProofCheck | null =>
    checkEvmProof({ ...anchor, proof: { ...proof, ...change } }, root);
  const refuted = (check: ProofCheck | null): boolean => check?.holds === false && check.fault !== 'proof-not-read';
  const flips: { part: string; bytes: number; changes: number; refuted: number }[] = [];

  /** Each byte of `text` with one bit changed, and with all. All 255 other values, once tried, took six minutes. */
  const everyByte = (part: string, text: string, put: (value: string) => Partial<EvmProof>): void => {
    const original = bytes(text);
    const row = { part, bytes: original.length, changes: 0, refuted: 0 };
    for (const [i, byte] of original.entries()) {
      for (const mask of [1 << (i % 8), 0xff]) {
        row.changes++;
        if (refuted(outcome(put(hex(original.with(i, byte ^ mask)))))) row.refuted++;
      }
    }
    flips.push(row);
    expect(row.refuted).toBe(row.changes);
  };

  test('of header and trie nodes: refuted', () => {
    expect(outcome({})?.holds).toBe(true);
    everyByte('header', proof.header, (header) => ({ header }));
    for (const [i, node] of proof.transaction.entries()) {
      everyByte(`transaction[${i}]`, node, (value) => ({ transaction: proof.transaction.with(i, value) }));
    }
    for (const [i, node] of proof.receipt.entries()) {
      everyByte(`receipt[${i}]`, node, (value) => ({ receipt: proof.receipt.with(i, value) }));
    }
    console.table(flips);
  });

  test('nodes left out, doubled, swapped, cut or lengthened; other indices: refuted', () => {
    for (const part of ['transaction', 'receipt'] as const) {
      const nodes = proof[part];
      const spoiled = [
        ...nodes.map((_, i) => nodes.toSpliced(i, 1)),
        ...nodes.map((node, i) => nodes.toSpliced(i, 0, node)),
        ...nodes.map((node, i) => nodes.with(i, node.slice(0, -2))),
        ...nodes.map((node, i) => nodes.with(i, `${node}00`)),
        nodes.toReversed(),
        [...nodes, nodes[0] ?? ''],
        proof[part === 'receipt' ? 'transaction' : 'receipt'],
      ];
      for (const list of spoiled) expect(refuted(outcome({ [part]: list }))).toBe(true);
    }
    for (const at of [0, 1, 169, 171, 299, 300, 2 ** 52]) expect(refuted(outcome({ index: at }))).toBe(true);
    for (const at of [1, 2, 2 ** 52]) expect(refuted(outcome({ logIndex: at }))).toBe(true);
  });

  test('a proof of another block is refuted under this one', () => {
    const { proof: other } = anchorAmong(round.root, 301, 170);
    expect(refuted(checkEvmProof({ ...anchor, ...(other === undefined ? {} : { proof: other }) }, root))).toBe(true);
  });
});

describe('the trie itself', () => {
  const small = Array.from({ length: 20 }, (_, i) => Uint8Array.of(i + 1));

  test.each([1, 2, 3, 16, 17, 20])('%i values of one byte, whose nodes stand in one another', async (count) => {
    await hashes(new ListTrie(small.slice(0, count)), count);
  });

  test('the root of no values is the well-known one', () => {
    expect(hex(new ListTrie([]).root)).toBe('0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421');
    expect(new ListTrie([]).prove(0)).toEqual([]);
  });

  test('a key that is not there, a root that is not met', () => {
    const trie = new ListTrie(small.map((value) => new Uint8Array(40).fill(value[0] ?? 0)));
    const wrong: [Uint8Array, Uint8Array, Uint8Array[]][] = [
      [trie.root, indexKey(20), trie.prove(20)],
      [trie.root, indexKey(4), trie.prove(5)],
      [seeded('root'), indexKey(4), trie.prove(4)],
      [trie.root, indexKey(4), []],
      [trie.root, new Uint8Array(0), trie.prove(4)],
    ];
    for (const [top, key, nodes] of wrong) {
      expect(() => walkTrie(top, key, nodes)).toThrow(expect.objectContaining({ code: 'trie-broken' }));
    }
  });

  test.each<[string, Rlp]>([
    ['a node of three items', [seeded('a'), seeded('b'), seeded('c')]],
    ['a path with an unknown flag', [Uint8Array.of(0x40), seeded('v')]],
    ['a path with a padding that is not zero', [Uint8Array.of(0x25, 0x80), seeded('v')]],
    ['an extension without a path', [Uint8Array.of(0x00), seeded('v')]],
    ['an empty value', [Uint8Array.of(0x20, 0x80), new Uint8Array(0)]],
    ['a leaf above the key', [Uint8Array.of(0x38), seeded('v')]],
    ['a node inside another that should be separate', [Uint8Array.of(0x18), [Uint8Array.of(0x30), seeded('v')]]],
  ])('%s', (_, node) => {
    const encoded = encodeRlp(node);
    expect(() => walkTrie(keccak256(encoded), Uint8Array.of(0x80), [encoded])).toThrow(
      expect.objectContaining({ code: 'trie-broken' }),
    );
  });
});

test.each([
  ['nothing', '0x'],
  ['a single byte with a length', '0x8101'],
  ['a short string in the long form', '0xb801ff'],
  ['a short list in the long form', '0xf801c0'],
  ['a length with a leading zero', `0xb90038${'00'.repeat(56)}`],
  ['a string cut short', '0x83ffff'],
  ['a list cut short', '0xc3ffff'],
  ['bytes behind the end', '0xc000'],
  ['a length beyond all measure', '0xbfffffffffffffffff'],
  ['an item longer than its list', '0xc283ffff'],
  ['lists in lists by the thousand', hex(new Uint8Array(16_000).fill(0xc1))],
])('RLP in another form than the one is none: %s', (_, text) => {
  expect(() => decodeRlp(bytes(text))).toThrow(expect.objectContaining({ code: 'rlp-invalid' }));
});
