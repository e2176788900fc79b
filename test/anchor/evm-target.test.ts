import { once } from 'node:events';
import { createServer } from 'node:http';
import { Wallet } from 'ethers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startChain } from '../../scripts/local/chain.ts';
import { roundAnchors } from '../../src/anchor/anchors.ts';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { parseReceipt } from '../../src/core/receipt.ts';
import { ANCHOR_ADDRESS, ANCHOR_INTERFACE, encodeAnchoredAt } from '../../src/evm/anchor-contract.ts';
import { readEvmAnchors } from '../../src/evm/anchors.ts';
import { type EvmNode, rpcNode } from '../../src/evm/node.ts';
import type { EvmTarget } from '../../src/evm/target.ts';
import { KINDS } from '../../src/kinds.ts';
import { type AnchorGround, anchorGround, minedAnchors, SENDER, SENDER_KEY, statuses } from '../support/anchoring.ts';
import { readBacklog } from '../support/backlog.ts';

let ground: AnchorGround;
beforeEach(async () => {
  ground = await anchorGround();
});
afterEach(() => ground.stop());

async function prepare(target: EvmTarget, count: number): Promise<number[]> {
  await target.register();
  const rounds = await ground.close(count);
  expect(await addMissingAnchors(ground.database, target.name, Date.now())).toEqual(rounds);
  return rounds;
}

/** Looks again until all is final; as often as that may take. */
async function finish(target: EvmTarget, rounds: readonly number[], passes = 20): Promise<void> {
  for (let i = 0; i < passes; i++) {
    const outcome = await target.advance(rounds);
    if ([...outcome.values()].every((again) => again === null)) return;
  }
  throw new Error(`not final after ${passes} looks: ${JSON.stringify(await statuses(ground.database))}`);
}

async function expectOnce(rounds: readonly number[], nonces = rounds.length): Promise<void> {
  expect([...(await minedAnchors(ground))].toSorted(([a], [b]) => a - b)).toEqual(rounds.map((round) => [round, 1]));
  expect(await ground.chain.provider.getTransactionCount(SENDER)).toBe(nonces);
  expect(await statuses(ground.database)).toEqual({ finalized: rounds.length });
}

describe('a round', () => {
  test('goes from pending to finalized, and its receipt says where it stands', async () => {
    const target = ground.target();
    const [round = 0] = await prepare(target, 1);
    expect((await roundAnchors(KINDS, ground.database, round)).map(({ status }) => status)).toEqual(['pending']);
    expect(await readEvmAnchors(ground.database, round)).toEqual([]);
    await finish(target, [round]);
    await expectOnce([round]);

    const [anchor] = await readEvmAnchors(ground.database, round);
    if (anchor === undefined || anchor.status === 'submitted') throw new Error('no anchor in a block');
    const receipt = await ground.chain.provider.getTransactionReceipt(anchor.transaction);
    const block = await ground.chain.provider.getBlock(anchor.block.number);
    expect(anchor).toEqual({
      type: 'evm',
      chain: 'eip155:31337',
      contract: ANCHOR_ADDRESS.toLowerCase(),
      transaction: receipt?.hash,
      status: 'finalized',
      block: {
        number: receipt?.blockNumber,
        hash: receipt?.blockHash,
        time: new Date(1_000 * (block?.timestamp ?? 0)).toISOString(),
      },
      proof: expect.anything(),
    });
    const { rows } = await ground.database.query<{ root: Buffer }>('SELECT root FROM rounds WHERE number = $1', [
      round,
    ]);
    const answer = await ground.chain.provider.call({
      to: ANCHOR_ADDRESS,
      data: encodeAnchoredAt(rows[0]?.root ?? new Uint8Array()),
    });
    expect(ANCHOR_INTERFACE.decodeFunctionResult('anchoredAt', answer).toArray()).toEqual([
      BigInt(block?.timestamp ?? 0),
      BigInt(anchor.block.number),
    ]);
    expect(ground.declared).toEqual([SENDER]);
    expect(await readBacklog(ground.database)).toMatchObject([{ target: 'local', unfinished: 0, oldest: null }]);
    expect(await target.advance([round, 99])).toEqual(
      new Map([
        [round, null],
        [99, null],
      ]),
    );
  });

  test('is announced where that is configured', async () => {
    const target = ground.target({ storeEvery: 'never' });
    const rounds = await prepare(target, 3);
    await finish(target, rounds);
    await expectOnce(rounds);
    const { rows } = await ground.database.query<{ root: Buffer }>('SELECT root FROM rounds WHERE number = 1');
    const answer = await ground.chain.provider.call({
      to: ANCHOR_ADDRESS,
      data: encodeAnchoredAt(rows[0]?.root ?? new Uint8Array()),
    });
    expect(ANCHOR_INTERFACE.decodeFunctionResult('anchoredAt', answer).toArray()).toEqual([0n, 0n]);
  });

  test('before the first one of the target is left alone', async () => {
    await ground.close(3);
    const target = ground.target({ ephemeral: false });
    expect(await prepare(target, 2)).toEqual([4, 5]);
  });
});

describe('what fails', () => {
  type Fault = 'before' | 'after';

  /** A node whose method throws about every second time, the first time for sure: without having done it, or after. */
  function faulty(method: 'send' | 'receipt' | 'block' | 'transactionCount', fault: Fault): EvmNode {
    const node = rpcNode({ url: ground.chain.url });
    let state = 0x7fffffff;
    const spoil = async <T>(work: () => Promise<T>): Promise<T> => {
      const failing = state >= 0x40000000;
      state = (state * 69_069 + 12_345) % 0x80000000;
      if (failing && fault === 'before') throw new Error('the line is cut');
      const result = await work();
      if (failing) throw new Error('the answer is lost');
      return result;
    };
    return {
      ...node,
      ...(method === 'send' ? { send: (raw) => spoil(() => node.send(raw)) } : {}),
      ...(method === 'receipt' ? { receipt: (hash) => spoil(() => node.receipt(hash)) } : {}),
      ...(method === 'block' ? { block: (at) => spoil(() => node.block(at)) } : {}),
      ...(method === 'transactionCount'
        ? { transactionCount: (address, at) => spoil(() => node.transactionCount(address, at)) }
        : {}),
    };
  }

  const cells = (['send', 'receipt', 'block', 'transactionCount'] as const).flatMap((method) =>
    (['before', 'after'] as const).flatMap((fault) =>
      (['goes on', 'process killed'] as const).map((then) => ({ method, fault, then })),
    ),
  );

  test('costs nothing twice and loses nothing: each effect, done or not, process killed or not', async () => {
    const all: number[] = [];
    for (const { method, fault, then } of cells) {
      const nodes = [faulty(method, fault)];
      let target = ground.target({ nodes });
      const rounds = await prepare(target, 5);
      all.push(...rounds);
      for (let i = 0; i < 200 && (await statuses(ground.database)).finalized !== all.length; i++) {
        await target.advance(rounds);
        if (then === 'process killed') target = ground.target({ nodes });
      }
      await expectOnce(all);
    }
    const { rows } = await ground.database.query('SELECT 1 FROM evm_transactions');
    expect(rows).toHaveLength(all.length);
  });

  test('a process killed between storing and sending: the stored bytes are what is sent', async () => {
    const down: EvmNode = {
      ...rpcNode({ url: ground.chain.url }),
      send: async () => {
        throw new Error('killed');
      },
    };
    const first = ground.target({ nodes: [down] });
    const rounds = await prepare(first, 4);
    await first.advance(rounds);
    expect(await statuses(ground.database)).toEqual({ pending: 4 });
    const before = await ground.database.query('SELECT hash, raw, nonce FROM evm_transactions ORDER BY id');
    expect(before.rows).toHaveLength(4);
    expect((await roundAnchors(KINDS, ground.database, 1))[0]?.problem).toContain('killed');
    await finish(ground.target(), rounds);
    await expectOnce(rounds);
    const after = await ground.database.query('SELECT hash, raw, nonce FROM evm_transactions ORDER BY id');
    expect(after.rows).toEqual(before.rows);
    expect((await roundAnchors(KINDS, ground.database, 1))[0]?.problem).toBeNull();
  });

  test('a chain that is down is waited for', async () => {
    const target = ground.target();
    const rounds = await prepare(target, 2);
    await ground.chain.down();
    const outcome = await target.advance(rounds);
    expect([...outcome.values()].every((again) => again !== null && again > 0)).toBe(true);
    expect((await roundAnchors(KINDS, ground.database, 1))[0]).toMatchObject({
      status: 'pending',
      problem: expect.stringContaining('ECONNREFUSED'),
    });
    expect(await target.newestFinalBlock()).toBeNull();
    await ground.chain.up();
    await finish(target, rounds);
    await expectOnce(rounds);
  });

  test('an endpoint on another chain is asked for its chain id and nothing else', async () => {
    const other = await startChain({ chainId: 999 });
    try {
      const wrong = rpcNode({ url: other.url });
      const asked = new Set<string>();
      const watched = new Proxy(wrong, {
        get: (node, property, receiver) => {
          asked.add(String(property));
          return Reflect.get(node, property, receiver);
        },
      });
      const target = ground.target({ nodes: [watched] });
      const rounds = await prepare(target, 1);
      await target.advance(rounds);
      expect((await roundAnchors(KINDS, ground.database, 1))[0]?.problem).toContain('chain 999, not 31337');
      expect((await ground.database.query('SELECT 1 FROM evm_transactions')).rows).toEqual([]);
      await finish(ground.target({ nodes: [watched, rpcNode({ url: ground.chain.url })] }), rounds);
      await expectOnce(rounds);
      expect([...asked].toSorted()).toEqual(['chainId', 'name']);
    } finally {
      await other.stop();
    }
  });

  test('fees above the cap are waited out, and nothing is signed', async () => {
    const target = ground.target({ caps: { maxFee: 1_000_000n, priorityFee: 1n } });
    const rounds = await prepare(target, 1);
    await target.advance(rounds);
    expect((await roundAnchors(KINDS, ground.database, 1))[0]?.problem).toContain('cap of 1000000');
    expect((await ground.database.query('SELECT 1 FROM evm_transactions')).rows).toEqual([]);
    await finish(ground.target(), rounds);
    await expectOnce(rounds);
  });
});

describe('an account', () => {
  test('two processes at once: one transaction a round, no gap', async () => {
    const rounds = await prepare(ground.target(), 60);
    const processes = [ground.target(), ground.target(), ground.target()];
    await Promise.all(processes.map((target) => finish(target, rounds)));
    await expectOnce(rounds);
    expect(ground.declared).toEqual([SENDER]);
  });

  test('that somebody else uses stops the target, on a chain where that costs money', async () => {
    const target = ground.target({ ephemeral: false, firstRound: 1 });
    const rounds = await prepare(target, 1);
    await finish(target, rounds);
    const wallet = new Wallet(SENDER_KEY, ground.chain.provider);
    await (await wallet.sendTransaction({ to: SENDER, value: 1n })).wait();
    const more = await prepare(target, 2);
    await target.advance(more);
    await target.advance(more);
    const [state] = await readBacklog(ground.database);
    expect(state).toMatchObject({ unfinished: 2, stopped: { code: 'nonce-foreign' } });
    expect((await ground.database.query('SELECT 1 FROM evm_transactions')).rows).toHaveLength(1);
    expect((await minedAnchors(ground)).size).toBe(1);
  });

  test('that somebody else uses on a chain that may be started anew is gone along with', async () => {
    const target = ground.target();
    const rounds = await prepare(target, 1);
    await finish(target, rounds);
    const wallet = new Wallet(SENDER_KEY, ground.chain.provider);
    await (await wallet.sendTransaction({ to: SENDER, value: 1n })).wait();
    const more = await prepare(target, 2);
    await finish(target, more);
    await expectOnce([...rounds, ...more], 4);
  });

  test('whose stored nonce another transaction took anchors with the next, on a chain that may be started anew', async () => {
    const down: EvmNode = {
      ...rpcNode({ url: ground.chain.url }),
      send: async () => {
        throw new Error('cut');
      },
    };
    const rounds = await prepare(ground.target(), 1);
    await ground.target({ nodes: [down] }).advance(rounds);
    const wallet = new Wallet(SENDER_KEY, ground.chain.provider);
    await (await wallet.sendTransaction({ to: SENDER, value: 1n })).wait();
    await finish(ground.target(), rounds);
    await expectOnce(rounds, 2);
    const { rows } = await ground.database.query('SELECT event, round FROM anchor_history');
    expect(rows).toEqual([{ event: 'abandoned', round: 1 }]);
  });

  test('cannot pay for two targets, nor a target change its contract', async () => {
    await ground.target().register();
    await expect(ground.target({ name: 'second' }).register()).rejects.toMatchObject({ code: 'account-taken' });
    const elsewhere = ground.target({ contract: SENDER });
    await expect(elsewhere.register()).rejects.toMatchObject({ code: 'target-differs' });
  });
});

describe('a chain started anew', () => {
  test('has its rounds anchored again, and what was is kept on record', async () => {
    const target = ground.target();
    const rounds = await prepare(target, 20);
    await finish(target, rounds);
    await ground.chain.down();
    await ground.chain.up();
    await target.inspect();
    expect(await statuses(ground.database)).toEqual({ pending: 20 });
    await finish(target, rounds);
    await expectOnce(rounds);
    const { rows } = await ground.database.query(
      'SELECT event, status, instance, count(*) FROM anchor_history GROUP BY 1, 2, 3',
    );
    expect(rows).toEqual([{ event: 'restarted', status: 'finalized', instance: 1, count: 20 }]);
    expect(ground.declared).toEqual([SENDER]);
  });

  test('in which blocks were taken back is noticed by the newest anchor', async () => {
    const target = ground.target();
    const first = await prepare(target, 2);
    await finish(target, first);
    const snapshot = await ground.chain.provider.send('evm_snapshot', []);
    const second = await prepare(target, 2);
    await finish(target, second);
    await ground.chain.provider.send('evm_revert', [snapshot]);
    await target.inspect();
    expect(await statuses(ground.database)).toEqual({ pending: 4 });
    await finish(target, [...first, ...second]);
    expect(await statuses(ground.database)).toEqual({ finalized: 4 });
  });

  test('stops a target that should be on a chain that lasts', async () => {
    const target = ground.target({ ephemeral: false, firstRound: 1 });
    const rounds = await prepare(target, 2);
    await finish(target, rounds);
    await ground.chain.down();
    await ground.chain.up();
    await ground.chain.deploy();
    await target.inspect();
    const more = await prepare(target, 1);
    await target.advance(more);
    expect((await readBacklog(ground.database))[0]).toMatchObject({
      stopped: { code: 'chain-differs' },
      unfinished: 1,
    });
    expect((await minedAnchors(ground)).size).toBe(0);
  });
});

describe('a reorganisation', () => {
  test('sends the stored bytes again, keeps what was on record, and final is only what is deep enough', async () => {
    const { provider } = ground.chain;
    const finality = { by: 'depth', blocks: 5 } as const;
    const target = ground.target({ ephemeral: false, firstRound: 1, finality });
    const rounds = await prepare(target, 2);
    const snapshot = await provider.send('evm_snapshot', []);
    await target.advance(rounds);
    expect(await statuses(ground.database)).toEqual({ included: 2 });
    const before = await readEvmAnchors(ground.database, 1);

    await provider.send('evm_revert', [snapshot]);
    await provider.send('hardhat_mine', ['0x1']);
    await target.advance(rounds);
    expect(await statuses(ground.database)).toEqual({ submitted: 2 });
    expect(await readEvmAnchors(ground.database, 1)).toMatchObject([{ status: 'submitted' }]);
    await target.advance(rounds);
    expect(await statuses(ground.database)).toEqual({ included: 2 });
    const [anchor] = await readEvmAnchors(ground.database, 1);
    expect(anchor?.transaction).toBe(before[0]?.transaction);
    expect(anchor).not.toEqual(before[0]);

    await provider.send('hardhat_mine', ['0x3']);
    await target.advance(rounds);
    expect(await statuses(ground.database)).toEqual({ finalized: 1, included: 1 });
    await provider.send('hardhat_mine', ['0x1']);
    await target.advance(rounds);
    await expectOnce(rounds);
    const { rows } = await ground.database.query(
      `SELECT h.event, h.status, h.round, h.block_number < a.block_number AS earlier
       FROM anchor_history h JOIN anchors a USING (target, round) ORDER BY h.id`,
    );
    expect(rows).toEqual(rounds.map((round) => ({ event: 'reorganized', status: 'included', round, earlier: true })));
    expect((await ground.database.query('SELECT 1 FROM evm_transactions')).rows).toHaveLength(2);
  });

  test('that moves a transaction to another block is followed', async () => {
    const { provider } = ground.chain;
    const target = ground.target({ ephemeral: false, firstRound: 1, finality: { by: 'depth', blocks: 5 } });
    const rounds = await prepare(target, 1);
    const snapshot = await provider.send('evm_snapshot', []);
    await target.advance(rounds);
    const { rows: sent } = await ground.database.query<{ raw: Buffer }>('SELECT raw FROM evm_transactions');
    await provider.send('evm_revert', [snapshot]);
    await provider.send('hardhat_mine', ['0x2']);
    await provider.send('eth_sendRawTransaction', [`0x${sent[0]?.raw.toString('hex')}`]);
    await target.advance(rounds);
    const [anchor] = await readEvmAnchors(ground.database, 1);
    expect(anchor).toMatchObject({ status: 'included', block: { number: await provider.getBlockNumber() } });
    const { rows } = await ground.database.query('SELECT event, status FROM anchor_history');
    expect(rows).toEqual([{ event: 'reorganized', status: 'included' }]);
  });
});

describe('a beacon', () => {
  test('is the newest final block', async () => {
    const block = await ground.chain.provider.getBlock('finalized');
    const beacon = await ground.target().newestFinalBlock();
    expect(beacon?.chain).toBe('eip155:31337');
    expect(beacon?.height).toBe(block?.number);
    expect(`0x${Buffer.from(beacon?.hash ?? []).toString('hex')}`).toBe(block?.hash);
  });

  test('by depth lies so many blocks down', async () => {
    const latest = await ground.chain.provider.getBlockNumber();
    const beacon = await ground.target({ finality: { by: 'depth', blocks: 2 } }).newestFinalBlock();
    expect(beacon?.height).toBe(latest - 1);
  });

  test('of an endpoint that hangs is done without', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    expect(await ground.target({ nodes: [rpcNode({ url })] }).newestFinalBlock()).toBeNull();
    server.closeAllConnections();
    server.close();
  });
});

test('the anchors of a round have the form of a receipt', async () => {
  const target = ground.target();
  const rounds = await prepare(target, 1);
  await finish(target, rounds);
  const anchors = await readEvmAnchors(ground.database, 1);
  const hash = '00'.repeat(32);
  const path: string[] = [];
  const pair = [hash];
  const receipt = {
    format: 'antequem-receipt/v1',
    entry: {
      log: 'antequem.local/logs/demo',
      index: 0,
      receivedAt: '2026-01-01T00:00:00.000Z',
      digest: hash,
      nonce: '',
      previous: hash,
    },
    inclusion: { treeSize: 1, path },
    checkpoint: `antequem.local/logs/demo\n1\n${'A'.repeat(43)}=\n\n— antequem.local/logs/demo ${'A'.repeat(90)}=\n`,
    round: {
      number: 1,
      closedAt: '2026-01-01T00:00:00.000Z',
      root: hash,
      size: 2,
      index: 1,
      path: pair,
      link: { previousRoot: hash, beacons: [], path: pair },
    },
    anchors,
  };
  const parsed = parseReceipt(receipt);
  expect('anchors' in parsed && parsed.anchors).toEqual(anchors);
});
