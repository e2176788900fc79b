// Proofs are taken when an anchor is first seen in a block, and again in another; what does not give them stops nothing.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { toHex } from '../../src/core/bytes.ts';
import { AntequemError } from '../../src/core/errors.ts';
import { readHeader } from '../../src/core/evm-bytes.ts';
import { checkEvmProof } from '../../src/core/evm-proof.ts';
import { keccak256 } from '../../src/core/keccak.ts';
import { type EvmProof, evmProofSchema, type IncludedEvmAnchor } from '../../src/core/receipt-schema.ts';
import { decodeRlp, encodeRlp, type Rlp } from '../../src/core/rlp.ts';
import { formatTime } from '../../src/core/time.ts';
import { readEvmAnchors, readEvmDetails } from '../../src/evm/anchors.ts';
import { rebuildBlock } from '../../src/evm/block.ts';
import { encodeHeader } from '../../src/evm/block-json.ts';
import { type EvmNode, type RawSource, rpcNode } from '../../src/evm/node.ts';
import type { EvmTarget } from '../../src/evm/target.ts';
import { type AnchorGround, anchorGround } from '../support/anchoring.ts';
import { noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround } from '../support/anvil-ground.ts';
import { bytes, hex, outcomeOf, type SealedBlock, sealBlock, transactionOf } from '../support/blocks.ts';
import { lyingEndpoint } from '../support/lying-rpc.ts';
import { seeded } from '../support/receipts.ts';

async function rootOf({ database }: AnchorGround, round: number): Promise<string> {
  const { rows } = await database.query<{ root: Buffer }>('SELECT root FROM rounds WHERE number = $1', [round]);
  return rows[0]?.root.toString('hex') ?? '';
}

/** The anchor as receipts have it; its proof, where it has one, holds from its block's hash to the round's root. */
async function anchorOf(ground: AnchorGround, round: number): Promise<IncludedEvmAnchor> {
  const [anchor] = await readEvmAnchors(ground.database, round);
  if (anchor === undefined || anchor.status === 'submitted') throw new Error(`round ${round} is in no block`);
  if (anchor.proof !== undefined) {
    evmProofSchema.parse(anchor.proof);
    expect(checkEvmProof(anchor, await rootOf(ground, round))).toMatchObject({ holds: true });
  }
  return anchor;
}

/** Of the one target that the round has. */
async function problemOf({ database }: AnchorGround, round: number): Promise<string | null> {
  const [details] = (await readEvmDetails(database, [round])).get(round)?.values() ?? [];
  return details?.proofProblem ?? null;
}

async function prepare(ground: AnchorGround, target: EvmTarget, count: number): Promise<number[]> {
  await target.register();
  const rounds = await ground.close(count);
  await addMissingAnchors(ground.database, target.name, Date.now());
  return rounds;
}

describe('on a Hardhat chain', () => {
  let ground: AnchorGround;
  beforeEach(async () => {
    ground = await anchorGround();
  });
  afterEach(() => ground.stop());

  const node = (url = ground.chain.url): EvmNode => rpcNode({ url, chainId: 31337 });
  /** A node whose endpoints answer as this says. */
  const withSources = (change: (source: RawSource) => RawSource, base = node()): EvmNode => ({
    ...base,
    sources: base.sources.map(change),
  });
  const bounded = async (target: EvmTarget, rounds: readonly number[], done: () => Promise<boolean>): Promise<void> => {
    await expect
      .poll(
        async () => {
          await target.advance(rounds);
          return done();
        },
        { timeout: 20_000, interval: 30 },
      )
      .toBe(true);
  };
  const allFinal = async (rounds: readonly number[]): Promise<boolean> => {
    const { rows } = await ground.database.query<{ status: string }>('SELECT status FROM anchors');
    return rows.length === rounds.length && rows.every(({ status }) => status === 'finalized');
  };

  test('every anchor has its proof once it is recorded in a block, the moment and the roots of the header', async () => {
    const target = ground.target();
    const rounds = await prepare(ground, target, 5);
    const seen = new Set<number>();
    await bounded(target, rounds, async () => {
      for (const round of rounds) {
        const [anchor] = await readEvmAnchors(ground.database, round);
        if (anchor === undefined || anchor.status === 'submitted') continue;
        expect(anchor.proof).toBeDefined();
        seen.add(round);
      }
      return allFinal(rounds);
    });
    expect([...seen].toSorted((a, b) => a - b)).toEqual(rounds);
    for (const round of rounds) {
      const anchor = await anchorOf(ground, round);
      const block = await ground.chain.provider.getBlock(anchor.block.number);
      expect([anchor.block.hash, anchor.block.time]).toEqual([
        block?.hash,
        formatTime((block?.timestamp ?? 0) * 1_000),
      ]);
      expect(await problemOf(ground, round)).toBeNull();
    }
  });

  test('announced roots too', async () => {
    const target = ground.target({ mode: 'announce' });
    const rounds = await prepare(ground, target, 2);
    await bounded(target, rounds, () => allFinal(rounds));
    for (const round of rounds) expect((await anchorOf(ground, round)).proof).toBeDefined();
  });

  test('a node that tells another time of the block: the receipt has the header’s', async () => {
    const base = node();
    const late: EvmNode = {
      ...base,
      block: async (at) => {
        const block = await base.block(at);
        return block === null ? null : { ...block, time: block.time + 3_600_000 };
      },
    };
    const target = ground.target({ nodes: [late] });
    const rounds = await prepare(ground, target, 1);
    await bounded(target, rounds, () => allFinal(rounds));
    const anchor = await anchorOf(ground, 1);
    const block = await ground.chain.provider.getBlock(anchor.block.number);
    expect(anchor.block.time).toBe(formatTime((block?.timestamp ?? 0) * 1_000));
  });

  test('no answer: anchored all the same, tried again, and the wait is told', async () => {
    let cut = true;
    const flaky = withSources((source) => ({
      ...source,
      ask: async (method, params) => {
        if (cut) throw new AntequemError('rpc-failed', 'the line is cut');
        return source.ask(method, params);
      },
    }));
    const target = ground.target({ nodes: [flaky] });
    const rounds = await prepare(ground, target, 3);
    await bounded(target, rounds, () => allFinal(rounds));
    const outcome = await target.advance(rounds);
    for (const round of rounds) {
      expect((await anchorOf(ground, round)).proof).toBeUndefined();
      expect(await problemOf(ground, round)).toContain('the line is cut');
      expect(outcome.get(round)).toBeGreaterThanOrEqual(0);
    }
    cut = false;
    await bounded(target, rounds, async () =>
      [...(await target.advance(rounds)).values()].every((again) => again === null),
    );
    for (const round of rounds) expect((await anchorOf(ground, round)).proof).toBeDefined();
    expect(await problemOf(ground, 1)).toBeNull();
  });

  test('an endpoint that lies about receipts: no proof by its word, and after some tries the reason stays', async () => {
    const liar = await lyingEndpoint(ground.chain.url);
    liar.lie = ({ method }, truth) => {
      if (method !== 'eth_getTransactionReceipt' || typeof truth !== 'object' || truth === null) return undefined;
      return { ...truth, cumulativeGasUsed: '0x1' };
    };
    try {
      const alone = ground.target({ name: 'alone', nodes: [node(liar.url)] });
      const rounds = await prepare(ground, alone, 1);
      await bounded(alone, rounds, () => allFinal(rounds));
      expect((await anchorOf(ground, 1)).proof).toBeUndefined();
      expect(await problemOf(ground, 1)).toContain('do not lead to the root');
      // It hardly changes: tried some times more, then no longer, and the reason stays.
      await bounded(alone, rounds, async () => (await alone.advance(rounds)).get(1) === null);
      expect(await problemOf(ground, 1)).toContain('do not lead to the root');
      const { rows } = await ground.database.query('SELECT attempts, retry_at FROM evm_evidence');
      expect(rows).toEqual([{ attempts: 6, retry_at: null }]);
    } finally {
      await liar.close();
    }
  });

  test('the first endpoint that can tell is enough', async () => {
    const base = node();
    const [source] = base.sources;
    if (source === undefined) throw new Error('no endpoint');
    const hangs: RawSource = { name: 'hangs', ask: () => Promise.reject(new AntequemError('rpc-refused', 'no')) };
    const target = ground.target({ nodes: [{ ...base, sources: [hangs, source] }] });
    const rounds = await prepare(ground, target, 1);
    await bounded(target, rounds, () => allFinal(rounds));
    expect((await anchorOf(ground, 1)).proof).toBeDefined();
  });

  test('stored proofs are not changed', async () => {
    const target = ground.target();
    const rounds = await prepare(ground, target, 1);
    await bounded(target, rounds, () => allFinal(rounds));
    for (const statement of ["UPDATE evm_evidence SET header = '\\x00'", 'DELETE FROM evm_evidence']) {
      await expect(ground.database.query(statement)).rejects.toThrow('immutable');
    }
  });
});

describe.skipIf(noAnvil !== null)(`on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  let ground: AnvilGround;
  beforeEach(async () => {
    ground = await anvilGround();
  });
  afterEach(() => ground.stop());

  test('a block reorganised away: the proof is of the block that took its place', async () => {
    const target = ground.target();
    const [round = 0] = await ground.prepare(target, 1);
    await target.advance([round]);
    const before = await anchorOf(ground, round);
    expect(before.proof).toBeDefined();
    await ground.rpc('anvil_reorg', 1, []);
    await target.advance([round]);
    await target.advance([round]);
    const after = await anchorOf(ground, round);
    expect(after.block.hash).not.toBe(before.block.hash);
    expect(after.transaction).toBe(before.transaction);
    expect(after.proof).toBeDefined();
    await ground.finish(target, [round]);
    expect((await anchorOf(ground, round)).proof).toEqual(after.proof);
  });

  test('several rounds in one block among others share its header', async () => {
    const other = ground.target();
    const rounds = await ground.prepare(other, 7);
    await ground.rpc('evm_setAutomine', false);
    await other.advance(rounds);
    await ground.mine();
    await other.advance(rounds);
    const anchors = await Promise.all(rounds.map((round) => anchorOf(ground, round)));
    expect(new Set(anchors.map(({ proof }) => proof?.header)).size).toBe(1);
    expect(anchors.map(({ proof }) => proof?.index).toSorted()).toEqual(rounds.map((_, i) => i));
    await ground.rpc('evm_setAutomine', true);
  });
});

describe('a block whose bytes only the node knows', () => {
  const TYPES = [2, 0x7e, 0, 0x6a, 4];
  const root = seeded('root');
  const block = sealBlock(
    TYPES.map((type) => transactionOf(root, { type })),
    // A deposit of the OP Stack has two items more in its receipt.
    TYPES.map((type) => (type === 0x7e ? withMore(outcomeOf(root, { type })) : outcomeOf(root, { type }))),
  );
  function withMore(receipt: Uint8Array): Uint8Array {
    const items = decodeRlp(receipt.subarray(1));
    if (!Array.isArray(items)) throw new Error('no list');
    return Uint8Array.of(receipt[0] ?? 0, ...encodeRlp([...items, Uint8Array.of(7), Uint8Array.of(1)]));
  }
  const values = (trie: SealedBlock['transactions']): Uint8Array[] =>
    TYPES.map((_, i) => trie.value(i) ?? new Uint8Array(0));
  const hashes = values(block.transactions).map((value) => hex(keccak256(value)));

  const HEADER = [
    'parentHash',
    'sha3Uncles',
    'miner',
    'stateRoot',
    'transactionsRoot',
    'receiptsRoot',
    'logsBloom',
    'difficulty',
    'number',
    'gasLimit',
    'gasUsed',
    'timestamp',
    'extraData',
    'mixHash',
    'nonce',
    'baseFeePerGas',
    'withdrawalsRoot',
    'blobGasUsed',
    'excessBlobGas',
    'parentBeaconBlockRoot',
    'requestsHash',
  ] as const;
  const QUANTITIES = new Set([
    'difficulty',
    'number',
    'gasLimit',
    'gasUsed',
    'timestamp',
    'baseFeePerGas',
    'blobGasUsed',
    'excessBlobGas',
  ]);
  const json = (header: Uint8Array): Record<string, unknown> => {
    const fields = decodeRlp(header);
    if (!Array.isArray(fields)) throw new Error('no list');
    const show = (name: string, field: Rlp | undefined): string => {
      const text = field instanceof Uint8Array ? toHex(field) : '';
      return QUANTITIES.has(name) ? `0x${text.replace(/^0+/, '') || '0'}` : `0x${text}`;
    };
    return Object.fromEntries(HEADER.map((name, i) => [name, show(name, fields[i])]));
  };

  /** A node of a chain of its own kind, which tells of known types as others do, and of the rest in bytes alone. */
  const source = (
    can: { header?: boolean; transactions?: boolean; receipts?: boolean },
    sealed = block,
    told = json(sealed.header),
  ): RawSource => ({
    name: 'rollup',
    ask: async (method, [param]) => {
      const at = hashes.indexOf(String(param));
      if (method === 'eth_getBlockByHash') {
        return {
          ...told,
          hash: sealed.hash,
          transactions: hashes.map((hash, i) => ({ hash, type: `0x${TYPES[i]?.toString(16)}` })),
        };
      }
      if (method === 'eth_getBlockReceipts') {
        return hashes.map((transactionHash) => ({
          transactionHash,
          blockHash: sealed.hash,
          type: '0x7e',
          status: '0x1',
        }));
      }
      if (method === 'debug_getRawHeader' && can.header) return hex(sealed.header);
      if (method === 'eth_getRawTransactionByHash' && can.transactions)
        return hex(values(block.transactions)[at] ?? new Uint8Array(0));
      if (method === 'debug_getRawReceipts' && can.receipts) return values(block.receipts).map(hex);
      throw new AntequemError('rpc-refused', `${method} is not supported`);
    },
  });

  test('is rebuilt of the bytes of unknown transactions and of all receipts', async () => {
    const rebuilt = await rebuildBlock(source({ transactions: true, receipts: true }), block.hash);
    expect(rebuilt.hashes).toEqual(hashes);
    const { number, time } = readHeader(rebuilt.header);
    for (const index of [0, 2, 4]) {
      const proof: EvmProof = {
        header: hex(rebuilt.header),
        index,
        transaction: rebuilt.transactions.prove(index).map(hex),
        receipt: rebuilt.receipts.prove(index).map(hex),
        logIndex: 0,
      };
      const identity = {
        type: 'evm',
        chain: 'eip155:31337',
        contract: `0x${'5a'.repeat(20)}`,
        status: 'included',
      } as const;
      const anchor = {
        ...identity,
        transaction: hashes[index] ?? '',
        block: { number, hash: block.hash, time: formatTime(time) },
        proof,
      };
      expect(checkEvmProof(anchor, toHex(root))).toMatchObject({ holds: true });
    }
  });

  test.each<[string, Parameters<typeof source>[0], string]>([
    ['transactions', { receipts: true }, 'of a type that is not known here'],
    ['receipts', { transactions: true }, 'the receipts of block'],
  ])('without the bytes of %s it stays closed, and says why', async (_, can, says) => {
    await expect(rebuildBlock(source(can), block.hash)).rejects.toMatchObject({
      code: 'block-opaque',
      message: expect.stringContaining(says),
    });
  });

  test('with a field in the header that no release knows: by the header’s bytes, or not at all', async () => {
    const fields = decodeRlp(block.header);
    if (!Array.isArray(fields)) throw new Error('no list');
    const header = encodeRlp([...fields, seeded('a field of the next fork')]);
    const future = { ...block, header, hash: hex(keccak256(header)) };
    const can = { transactions: true, receipts: true };
    const rebuilt = await rebuildBlock(source({ ...can, header: true }, future), future.hash);
    expect(hex(rebuilt.header)).toBe(hex(header));
    await expect(rebuildBlock(source(can, future), future.hash)).rejects.toMatchObject({
      code: 'block-opaque',
      message: expect.stringContaining('fields that are not known here'),
    });
  });

  test('that is another than asked for is not taken', async () => {
    const other = hex(seeded('another hash'));
    const all = { header: true, transactions: true, receipts: true };
    await expect(rebuildBlock(source(all), other)).rejects.toMatchObject({ code: 'block-opaque' });
    const none: RawSource = { name: 'empty', ask: async () => null };
    await expect(rebuildBlock(none, other)).rejects.toMatchObject({ code: 'block-unknown' });
    const noise: RawSource = { name: 'noise', ask: async () => 'noise' };
    await expect(rebuildBlock(noise, other)).rejects.toMatchObject({ code: 'rpc-failed' });
    expect(bytes(block.hash)).toHaveLength(32);
  });
});

test('the header of Ethereum’s first block hashes to what everybody knows', () => {
  const zeros = (length: number): string => `0x${'00'.repeat(length)}`;
  const empty = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421';
  const header = encodeHeader({
    parentHash: zeros(32),
    sha3Uncles: '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347',
    miner: zeros(20),
    stateRoot: '0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544',
    transactionsRoot: empty,
    receiptsRoot: empty,
    logsBloom: zeros(256),
    difficulty: '0x400000000',
    number: '0x0',
    gasLimit: '0x1388',
    gasUsed: '0x0',
    timestamp: '0x0',
    extraData: '0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa',
    mixHash: zeros(32),
    nonce: '0x0000000000000042',
  });
  if (header === null) throw new Error('not encoded');
  expect(hex(keccak256(header))).toBe('0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3');
  expect(readHeader(header)).toMatchObject({ number: 0, time: 0 });
});
