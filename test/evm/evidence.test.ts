// Proofs are taken when an anchor is first seen in a block, and again in another; what does not give them stops nothing.

import { Wallet } from 'ethers';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { toHex } from '../../src/core/bytes.ts';
import { AntequemError } from '../../src/core/errors.ts';
import { readHeader } from '../../src/core/evm-bytes.ts';
import { checkEvmProof } from '../../src/core/evm-proof.ts';
import { keccak256 } from '../../src/core/keccak.ts';
import { type EvmProof, evmProofSchema, type IncludedEvmAnchor } from '../../src/core/receipt-schema.ts';
import { decodeRlp, encodeRlp, type Rlp } from '../../src/core/rlp.ts';
import { formatTime } from '../../src/core/time.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { readEvmAnchors, readEvmDetails } from '../../src/evm/anchors.ts';
import { ENCODER_VERSION, rebuildBlock } from '../../src/evm/block.ts';
import { isObject } from '../../src/evm/json-fields.ts';
import { type EvmNode, type RawSource, rpcNode } from '../../src/evm/node.ts';
import { measureEvm, reportEvm } from '../../src/evm/report.ts';
import { damagedProofs } from '../../src/evm/stored-proofs.ts';
import type { EvmTarget } from '../../src/evm/target.ts';
import { type AnchorGround, anchorGround, restartableChain } from '../support/anchoring.ts';
import { noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround } from '../support/anvil-ground.ts';
import { bytes, hex, outcomeOf, type SealedBlock, sealBlock, transactionOf } from '../support/blocks.ts';
import { asAdministrator } from '../support/history.ts';
import { lyingEndpoint } from '../support/lying-rpc.ts';
import { mineMixedBlock } from '../support/mixed-blocks.ts';
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

  const node = (url = ground.chain.url): EvmNode => rpcNode({ url });
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
        { timeout: 120_000, interval: 30 },
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
    const target = ground.target({ storeEvery: 'never' });
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
      expect(await rows('attempts, retry_at')).toEqual([{ attempts: 6, retry_at: null }]);
    } finally {
      await liar.close();
    }
  });

  /** A chain whose headers have a field that this release does not know, while `closed()`. */
  const opaque = (closed: () => boolean): EvmNode =>
    withSources((source) => ({
      ...source,
      ask: async (method, params) => {
        if (method === 'debug_getRawHeader') throw new AntequemError('rpc-refused', 'no');
        const answer = await source.ask(method, params);
        if (method !== 'eth_getBlockByHash' || !closed() || !isObject(answer)) return answer;
        return { ...answer, stateRoot: answer.parentHash, fieldOfTheNextFork: '0x1' };
      },
    }));
  const rows = async (columns: string): Promise<unknown[]> =>
    (await ground.database.query(`SELECT ${columns} FROM evm_evidence ORDER BY round`)).rows;
  const metric = async (name: string): Promise<unknown[]> =>
    (await measureEvm(ground.database, Date.now())).gauges.flatMap((gauge) =>
      gauge.name === name ? [[gauge.labels, gauge.value]] : [],
    );

  test('a chain whose blocks cannot be rebuilt: said once, tried once a round, seen from outside, and repaired', async () => {
    let closed = true;
    const warned: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void warned.push(line) });
    const target = ground.target({ nodes: [opaque(() => closed)], logger });
    const rounds = await prepare(ground, target, 4);
    await bounded(target, rounds, () => allFinal(rounds));
    const said = warned.filter((line) => line.includes('cannot be rebuilt'));
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('fields that are not known here (fieldOfTheNextFork)');
    expect(warned.filter((line) => line.includes('no proof of round'))).toEqual([]);
    expect(await rows('code, attempts, retry_at, encoder')).toEqual(
      rounds.map(() => ({ code: 'header-opaque', attempts: 1, retry_at: null, encoder: ENCODER_VERSION })),
    );
    expect([...(await target.advance(rounds)).values()]).toEqual(rounds.map(() => null));

    const report = (await reportEvm(ground.database, Date.now())).get('local');
    expect(report?.lines.map(({ label, says }) => `${label}: ${says}`)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^proofs: 4 missing \(header-opaque\): .*fieldOfTheNextFork/),
        expect.stringMatching(/^blocks: the blocks of eip155:31337 cannot be rebuilt by this release/),
      ]),
    );
    expect(report?.facts).toMatchObject({
      opaque: { code: 'header-opaque' },
      withoutProof: [{ code: 'header-opaque', rounds: 4 }],
    });
    const labels = { target: 'local', chain: 'eip155:31337' };
    expect(await metric('antequem_chain_opaque')).toEqual([[labels, 1]]);
    expect(await metric('antequem_anchors_without_proof')).toEqual([[{ ...labels, code: 'header-opaque' }, 4]]);
    expect((await measureEvm(ground.database, Date.now())).notices.join()).toContain('cannot be rebuilt');
    const details = (await readEvmDetails(ground.database, [1])).get(1)?.get('local');
    expect(details).toMatchObject({ proofCode: 'header-opaque', proofProblem: expect.stringContaining('not known') });

    closed = false;
    const [next = 0] = await ground.close(1);
    await addMissingAnchors(ground.database, target.name, Date.now());
    await bounded(target, [...rounds, next], async () =>
      (await rows('index')).every((row) => isObject(row) && row.index !== null),
    );
    expect(warned.filter((line) => line.includes('can be rebuilt again'))).toHaveLength(1);
    expect(await metric('antequem_chain_opaque')).toEqual([[labels, 0]]);
    expect(await metric('antequem_anchors_without_proof')).toEqual([]);
  });

  test('what a release gave up that knew less is tried again when one starts that knows more', async () => {
    let closed = true;
    const node = opaque(() => closed);
    const target = ground.target({ nodes: [node] });
    const rounds = await prepare(ground, target, 40);
    await bounded(target, rounds, () => allFinal(rounds));
    // As the release before left them.
    await ground.database.query('UPDATE evm_evidence SET code = NULL, encoder = NULL, attempts = 6');
    await ground.database.query('DELETE FROM evm_opaque');
    expect(await target.unfinished(100)).toEqual([]);
    closed = false;
    const next = ground.target({ nodes: [node] });
    await next.register();
    // Some at first: where they fail again, a provider is not asked for thousands of blocks.
    const tried = await next.unfinished(100);
    expect(tried).toEqual([...rounds.slice(0, 16), ...rounds.slice(-16)]);
    await bounded(next, rounds, async () => (await next.unfinished(100)).length === 0);
    for (const round of rounds) expect((await anchorOf(ground, round)).proof).toBeDefined();
  });

  test('what cannot be had now is tried again for some rounds, and for all once one of them has its proof', async () => {
    let refuses = true;
    const gateway = withSources((source) => ({
      ...source,
      ask: async (method, params) => {
        if (refuses && method === 'eth_getBlockByHash') throw new AntequemError('rpc-refused', 'not in your plan');
        return source.ask(method, params);
      },
    }));
    const target = ground.target({ nodes: [gateway] });
    const rounds = await prepare(ground, target, 40);
    await bounded(target, rounds, () => allFinal(rounds));
    await target.advance(rounds);
    const retried = (await rows('retry_at')).filter((row) => isObject(row) && row.retry_at !== null).length;
    expect(retried).toBeGreaterThan(0);
    expect(retried).toBeLessThan(40);
    expect(await metric('antequem_anchors_without_proof')).toEqual([
      [{ target: 'local', chain: 'eip155:31337', code: 'rpc-refused' }, 40],
    ]);
    refuses = false;
    await bounded(target, rounds, async () => (await target.unfinished(100)).length === 0);
    for (const round of rounds) expect((await anchorOf(ground, round)).proof).toBeDefined();
  });

  test('a gateway that refuses by HTTP status what few nodes do: one question for each receipt', async () => {
    const gateway = await lyingEndpoint(ground.chain.url);
    gateway.refuses = ({ method }) => /^debug_|getRaw|getBlockReceipts/.test(method);
    try {
      const target = ground.target({ nodes: [node(gateway.url)] });
      const rounds = await prepare(ground, target, 6);
      await ground.chain.provider.send('evm_setAutomine', [false]);
      await target.advance(rounds);
      await ground.chain.provider.send('evm_mine', []);
      await bounded(target, rounds, () => allFinal(rounds));
      for (const round of rounds) expect((await anchorOf(ground, round)).proof).toBeDefined();
      expect(gateway.asked.map(({ method }) => method)).toContain('eth_getBlockReceipts');
    } finally {
      await gateway.close();
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
    for (const statement of ['UPDATE evm_evidence SET log_index = 1', 'DELETE FROM evm_evidence']) {
      await expect(ground.database.query(statement)).rejects.toThrow('immutable');
    }
  });
});

test('on Hardhat under Amsterdam: rounds become final with their proofs, beside transactions of others', async () => {
  const ground = await anchorGround(() => restartableChain({ hardfork: 'amsterdam' }));
  try {
    const target = ground.target();
    const rounds = await prepare(ground, target, 20);
    const { provider } = ground.chain;
    await provider.send('evm_setAutomine', [false]);
    await target.advance(rounds);
    const wallet = new Wallet(LOCAL_CHAIN_KEY, provider);
    await mineMixedBlock({ provider, wallet }, ANCHOR_ADDRESS, seeded('others'), [4, 2, 4]);
    await expect
      .poll(async () => [...(await target.advance(rounds)).values()].every((again) => again === null), { interval: 50 })
      .toBe(true);
    const anchors = await Promise.all(rounds.map((round) => anchorOf(ground, round)));
    const fields = anchors.map(({ proof }) => decodeRlp(bytes(proof?.header ?? '0x')).length);
    // Behind requestsHash: blockAccessListHash and slotNumber.
    expect(new Set(fields)).toEqual(new Set([23]));
    expect(Math.max(...anchors.map(({ proof }) => proof?.index ?? 0))).toBeGreaterThan(0);
  } finally {
    await ground.stop();
  }
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
    const blockNow = async (): Promise<string | undefined> => {
      await target.advance([round]);
      const [anchor] = await readEvmAnchors(ground.database, round);
      return anchor === undefined || anchor.status === 'submitted' ? undefined : anchor.block.hash;
    };
    await expect.poll(blockNow, { timeout: 60_000 }).toBeDefined();
    const before = await anchorOf(ground, round);
    expect(before.proof).toBeDefined();
    await ground.rpc('anvil_reorg', 1, []);
    await expect
      .poll(async () => [undefined, before.block.hash].includes(await blockNow()), { timeout: 60_000 })
      .toBe(false);
    const after = await anchorOf(ground, round);
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
    await expect
      .poll(
        async () => {
          await other.advance(rounds);
          const { rows } = await ground.database.query(`SELECT FROM anchors WHERE status = 'included'`);
          return rows.length;
        },
        { timeout: 60_000 },
      )
      .toBe(rounds.length);
    const anchors = await Promise.all(rounds.map((round) => anchorOf(ground, round)));
    expect(new Set(anchors.map(({ proof }) => proof?.header)).size).toBe(1);
    expect(anchors.map(({ proof }) => proof?.index).toSorted()).toEqual(rounds.map((_, i) => i));
    await ground.rpc('evm_setAutomine', true);

    // It is stored once, with the upper nodes; each round has its transaction and receipt alone.
    const stored = async (sql: string): Promise<unknown[]> => (await ground.database.query(sql)).rows;
    expect(await stored('SELECT cardinality(nodes) AS nodes FROM evm_blocks')).toEqual([{ nodes: expect.any(Number) }]);
    const packed = 'length(transaction_nodes) AS nodes, length(packed) < 200 AS small';
    expect(await stored(`SELECT ${packed} FROM evm_evidence ORDER BY round`)).toEqual(
      anchors.map(({ proof }) => ({ nodes: (proof?.transaction.length ?? 0) - 1, small: true })),
    );

    for (const statement of ["UPDATE evm_blocks SET header = '\\x00'", 'DELETE FROM evm_blocks']) {
      await expect(ground.database.query(statement)).rejects.toThrow('immutable');
    }

    // In releases before, the proof of a round that is alone in its block has its header and all nodes with it.
    const [round = 0] = rounds;
    const [first] = anchors;
    const nodesOf = (path: readonly string[] = []): Buffer[] => path.map((node) => Buffer.from(bytes(node)));
    const forged = (sql: string, values: unknown[] = []): Promise<void> =>
      asAdministrator(ground.databaseUrl, async (client) => void (await client.query(sql, values)));
    await forged(
      `UPDATE evm_evidence SET packed = NULL, header = $2, transaction_nodes = NULL, receipt_nodes = NULL, transaction_proof = $3, receipt_proof = $4
       WHERE round = $1`,
      [round, bytes(first?.proof?.header ?? ''), nodesOf(first?.proof?.transaction), nodesOf(first?.proof?.receipt)],
    );
    expect(await Promise.all(rounds.map((each) => anchorOf(ground, each)))).toEqual(anchors);

    const faults = async (): Promise<number[]> => {
      const found: number[] = [];
      for await (const damage of damagedProofs(ground.database, () => {})) found.push(damage.round);
      return found;
    };
    expect(await faults()).toEqual([]);
    // A proof is packed with the transaction that was signed.
    const altered = rounds[2] ?? 0;
    await forged('UPDATE evm_transactions SET raw = set_byte(raw, 9, get_byte(raw, 9) # 1) WHERE round = $1', [
      altered,
    ]);
    expect(await faults()).toEqual([altered]);
    await forged('UPDATE evm_transactions SET raw = set_byte(raw, 9, get_byte(raw, 9) # 1) WHERE round = $1', [
      altered,
    ]);
    expect(await faults()).toEqual([]);
    await forged('UPDATE evm_evidence SET index = index + 1 WHERE round = $1', [round]);
    expect(await faults()).toEqual([round]);
    await forged('UPDATE evm_blocks SET nodes = nodes[2:]');
    expect(await faults()).toEqual(rounds);
    await forged('DELETE FROM evm_blocks');
    expect(await faults()).toEqual(rounds);
    expect((await anchorOf(ground, rounds[1] ?? 0)).proof).toBeUndefined();
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
  ])('without the bytes of %s it stays closed, and says why', async (part, can, says) => {
    await expect(rebuildBlock(source(can), block.hash)).rejects.toMatchObject({
      code: `${part}-opaque`,
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
      code: 'header-opaque',
      message: expect.stringContaining('hashes its headers in another way'),
    });
  });

  test('that is another than asked for is not taken', async () => {
    const other = hex(seeded('another hash'));
    const all = { header: true, transactions: true, receipts: true };
    await expect(rebuildBlock(source(all), other)).rejects.toMatchObject({ code: 'header-opaque' });
    const none: RawSource = { name: 'empty', ask: async () => null };
    await expect(rebuildBlock(none, other)).rejects.toMatchObject({ code: 'block-unknown' });
    const noise: RawSource = { name: 'noise', ask: async () => 'noise' };
    await expect(rebuildBlock(noise, other)).rejects.toMatchObject({ code: 'rpc-failed' });
    expect(bytes(block.hash)).toHaveLength(32);
  });
});
