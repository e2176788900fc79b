import { setTimeout as pause } from 'node:timers/promises';
import { keccak256 } from 'ethers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { receiptAnchors, roundAnchors } from '../../src/anchor/anchors.ts';
import { requestRound } from '../../src/anchor/jobs.ts';
import { Receipts } from '../../src/anchor/receipts.ts';
import { type AnchorWorker, startWorker } from '../../src/anchor/worker.ts';
import { parseReceipt } from '../../src/core/receipt.ts';
import { ANCHOR_ADDRESS, ANCHOR_RUNTIME_CODE_HASH } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import type { EvmTarget } from '../../src/evm/target.ts';
import { KINDS } from '../../src/kinds.ts';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { silent } from '../support/anchoring.ts';
import { anvilChain, noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround } from '../support/anvil-ground.ts';
import type { TestChain } from '../support/chain.ts';
import { type Gate, openGate } from '../support/gate.ts';
import { type Instance, ORIGIN, openInstance } from '../support/instance.ts';

describe.skipIf(noAnvil !== null)(`several chains, on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  let ground: AnvilGround;
  let second: TestChain;
  let gate: Gate;
  let instance: Instance;
  let queue: Queue;
  let worker: AnchorWorker;
  let mining: NodeJS.Timeout;
  beforeEach(async () => {
    [ground, second] = await Promise.all([
      anvilGround(),
      anvilChain('--slots-in-an-epoch', '1', '--chain-id', '31338'),
    ]);
    gate = await openGate(second.url);
    await deployAnchor({ provider: second.provider, signer: second.wallet, dryRun: false });
    mining = setInterval(() => {
      for (const { provider } of [ground, second]) void provider.send('anvil_mine', ['0x3']).catch(() => {});
    }, 100);
    const targets: EvmTarget[] = [
      ground.target({ name: 'one' }),
      ground.target({ name: 'two', chainId: 31338, rpcUrls: [gate.url], storeEvery: 'never' }),
    ];
    instance = await openInstance(ground.databaseUrl);
    queue = await openQueue({ origin: ORIGIN, databaseUrl: ground.databaseUrl, logger: silent });
    worker = await startWorker({
      database: ground.database,
      queue,
      targets,
      closeRound: () =>
        instance.closeRound({
          beacons: async () =>
            (await Promise.all(targets.map((target) => target.newestFinalBlock()))).filter((block) => block !== null),
        }),
      roundInterval: 60_000,
      reconcileInterval: 1_000,
      now: Date.now,
      logger: silent,
    });
  });
  afterEach(async () => {
    clearInterval(mining);
    await worker?.stop();
    await queue?.close();
    await instance?.end();
    await gate?.close();
    await ground?.stop();
    await second?.[Symbol.asyncDispose]();
  });

  async function untilFinal(round: number, ...targets: string[]): Promise<number> {
    const start = performance.now();
    for (;;) {
      const states = await roundAnchors(KINDS, ground.database, round);
      if (targets.every((name) => states.some(({ target, status }) => target === name && status === 'finalized'))) {
        return performance.now() - start;
      }
      await pause(20);
    }
  }

  test('a round goes to two at once; one is down, then hangs, and the other is not delayed; the receipt has both', async () => {
    const log = await instance.makeLog('demo');
    const times: string[] = [];
    for (const [round, state] of [
      [1, 'open'],
      [2, 'shut'],
      [3, 'hanging'],
      [4, 'hanging'],
    ] as const) {
      await gate.set(state);
      await instance.append(log, `entry ${round}`);
      await requestRound(queue);
      const taken = await untilFinal(round, 'one');
      times.push(`${state} ${(taken / 1_000).toFixed(1)} s`);
      if (state === 'open') await untilFinal(round, 'two');
      else
        expect((await roundAnchors(KINDS, ground.database, round))[1]).toMatchObject({
          target: 'two',
          status: 'pending',
        });
    }
    await gate.set('open');
    const back = performance.now();
    for (const round of [1, 2, 3, 4]) await untilFinal(round, 'one', 'two');
    console.log(
      `two chains, round final on the one while the other is: ${times.join(', ')}; all on both ${((performance.now() - back) / 1_000).toFixed(1)} s after it is back`,
    );
    const { database, entries, tiles, publisher, trees } = instance;
    const anchors = (round: number) => receiptAnchors(KINDS, ground.database, round);
    const receipts = new Receipts({ database, entries, tiles, publisher, trees, anchors });
    const receipt = parseReceipt(await receipts.compose(log, 2));
    if (!('round' in receipt)) throw new Error('no round');
    expect(receipt.anchors).toMatchObject([
      { type: 'evm', chain: 'eip155:31337', contract: ANCHOR_ADDRESS.toLowerCase(), status: 'finalized' },
      { type: 'evm', chain: 'eip155:31338', contract: ANCHOR_ADDRESS.toLowerCase(), status: 'finalized' },
    ]);
  });
});

describe.skipIf(noAnvil !== null)(`deployment, on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  test('the address is the same on two chains with different ids, and a second deployment sends nothing', async () => {
    for (const chainId of ['31337', '424242']) {
      await using chain = await anvilChain('--chain-id', chainId);
      const { provider, wallet } = chain;
      const first = await deployAnchor({ provider, signer: wallet, dryRun: false });
      expect(first).toMatchObject({ chain: `eip155:${chainId}`, address: ANCHOR_ADDRESS, status: 'deployed' });
      expect(keccak256(await provider.getCode(ANCHOR_ADDRESS))).toBe(ANCHOR_RUNTIME_CODE_HASH);
      const count = await provider.getTransactionCount(wallet.address);
      const again = await deployAnchor({ provider, signer: wallet, dryRun: false });
      expect(again).toMatchObject({ address: ANCHOR_ADDRESS, status: 'already-deployed', transactions: [] });
      expect(await provider.getTransactionCount(wallet.address)).toBe(count);
    }
  });
});
