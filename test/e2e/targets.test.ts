import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encryptKeystoreJson } from 'ethers';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../src/config.ts';
import { ANCHOR_ADDRESS, ANCHOR_INTERFACE } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { serve } from '../../src/main.ts';
import { SENDER, SENDER_KEY } from '../support/anchoring.ts';
import { anvilChain, noAnvil } from '../support/anvil-chain.ts';
import { testDatabase } from '../support/postgres.ts';

const TIMEOUT = { timeout: 120_000 };
const pathAnswer = z.object({
  contract: z.string(),
  calldata: z.string(),
  stored: z.nullable(z.object({ chain: z.string() })),
});
const receiptAnswer = z.object({
  anchors: z.array(z.object({ chain: z.string(), contract: z.string(), status: z.string() })),
});

test.skipIf(noAnvil !== null)(
  `a file with two targets: every round goes to both${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'antequem-targets-'));
    const database = await testDatabase();
    await using one = await anvilChain('--slots-in-an-epoch', '1');
    await using two = await anvilChain('--slots-in-an-epoch', '1', '--chain-id', '31338');
    for (const { provider, wallet } of [one, two]) await deployAnchor({ provider, signer: wallet, dryRun: false });
    const account = { address: SENDER, privateKey: SENDER_KEY };
    const shared = { storeEvery: '1h', maxFeeGwei: 50, dailyBudget: '0.1', replaceAfter: '3m', lowBalance: '0.5' };
    const targets = [
      { ...shared, name: 'one', chainId: 31337, rpcUrls: [one.url], key: { file: 'one.key' } },
      {
        ...shared,
        name: 'two',
        chainId: 31338,
        rpcUrls: [two.url, 'http://127.0.0.1:9/'],
        storeEvery: 'never',
        key: { keystore: 'two.json', passwordFile: 'password' },
      },
    ];
    await Promise.all([
      writeFile(join(folder, 'seed'), '5e'.repeat(32)),
      writeFile(join(folder, 'one.key'), `${SENDER_KEY}\n`),
      writeFile(join(folder, 'two.json'), await encryptKeystoreJson(account, 'word', { scrypt: { N: 1024 } })),
      writeFile(join(folder, 'password'), 'word\n'),
      writeFile(join(folder, 'targets.json'), JSON.stringify(targets)),
    ]);
    const config = readConfig({
      DATABASE_URL: database.url,
      ORIGIN: 'two.test',
      LOG_SEED_FILE: join(folder, 'seed'),
      PORT: '0',
      ROUND_INTERVAL: '500ms',
      RECONCILE_INTERVAL: '1s',
      TARGETS_FILE: join(folder, 'targets.json'),
    });
    const quick = config.targets.map((target) => ({
      ...target,
      ephemeral: true,
      storeEvery: target.storeEvery === 'never' ? target.storeEvery : 1_000,
    }));
    const service = await serve({ ...config, open: true, targets: quick }, pino({ level: 'silent' }));
    const mining = setInterval(() => {
      for (const { provider } of [one, two]) void provider.send('anvil_mine', ['0x3']).catch(() => {});
    }, 100);
    try {
      await fetch(`${service.url}/v1/logs/demo`, { method: 'PUT' });
      await fetch(`${service.url}/v1/logs/demo/entries`, { method: 'POST', body: 'said to two chains' });
      const read = async () => {
        const path = '/v1/logs/demo/entries/0/receipt?wait=20&until=finalized';
        return receiptAnswer.safeParse(await (await fetch(`${service.url}${path}`)).json()).data?.anchors ?? [];
      };
      let anchors = await read();
      for (let i = 0; i < 50 && !(anchors.length === 2 && anchors.every(({ status }) => status === 'finalized')); i++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        anchors = await read();
      }
      expect(anchors).toEqual(
        ['eip155:31337', 'eip155:31338'].map((chain) => ({
          chain,
          contract: ANCHOR_ADDRESS.toLowerCase(),
          status: 'finalized',
        })),
      );
      // A round that is announced; no other follows, so it is stored by a transaction of its own.
      await fetch(`${service.url}/v1/logs/demo/entries`, { method: 'POST', body: 'said soon after' });
      const pathOf = async (query: string) => {
        const answer = await fetch(`${service.url}/v1/logs/demo/entries/1/receipt.path${query}`);
        return pathAnswer.parse(await answer.json());
      };
      await expect
        .poll(async () => {
          await fetch(`${service.url}/v1/logs/demo/entries/1/receipt?wait=20&until=stored`);
          return (await pathOf('')).stored?.chain;
        }, TIMEOUT)
        .toBe('eip155:31337');
      const { contract, calldata } = await pathOf('?chain=eip155:31337');
      const [time] = ANCHOR_INTERFACE.decodeFunctionResult(
        'existedBefore',
        await one.provider.call({ to: contract, data: calldata }),
      );
      expect(time).toBeGreaterThan(0n);
      expect((await pathOf('?chain=eip155:31338')).stored).toBeNull();
    } finally {
      clearInterval(mining);
      await service.stop();
      await database.drop();
      await rm(folder, { recursive: true });
    }
  },
);
