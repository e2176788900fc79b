import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { HDNodeWallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { decodeAnchoredLog } from '../../src/core/anchored-event.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { rpcNode } from '../../src/evm/node.ts';
import { inParallel } from '../../src/evm/parallel.ts';
import { keySigner } from '../../src/evm/signer.ts';
import { EvmTarget } from '../../src/evm/target.ts';
import { openDatabase } from '../../src/store/database.ts';
import { cellName, EFFECTS, type Effect, withFault } from '../support/anchor-faults.ts';
import { closeRounds, silent } from '../support/anchoring.ts';
import { anvilChain, noAnvil } from '../support/anvil-chain.ts';
import type { TestChain } from '../support/chain.ts';
import { testDatabase } from '../support/postgres.ts';
import { MOMENTS, type Moment } from '../support/spoil.ts';

const PROCESS = join(import.meta.dirname, '../support/anchor-process.ts');
const PHRASE = 'test test test test test test test test test test test junk';
const ROUNDS = 3;
const THEN = ['goes on', 'process killed'] as const;

describe.skipIf(noAnvil !== null)(
  `what fails while anchoring${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`,
  () => {
    let chain: TestChain;
    let mining: NodeJS.Timeout;
    let accounts = 0;
    beforeAll(async () => {
      chain = await anvilChain('--slots-in-an-epoch', '1', '--accounts', '40');
      await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
      mining = setInterval(() => void chain.provider.send('anvil_mine', ['0x1']).catch(() => {}), 50);
    });
    afterAll(async () => {
      clearInterval(mining);
      await chain?.[Symbol.asyncDispose]();
    });

    /** A database and an account of its own on the chain that all share. */
    async function openCell() {
      accounts += 1;
      const { privateKey } = HDNodeWallet.fromPhrase(PHRASE, undefined, `m/44'/60'/0'/0/${accounts}`);
      const { url: databaseUrl, drop } = await testDatabase();
      const database = openDatabase(databaseUrl, { connections: 6 });
      const whole = { node: rpcNode({ url: chain.url }), signer: keySigner(privateKey), database };
      const name = cellName();
      const open = (parts = whole): EvmTarget =>
        new EvmTarget({
          name,
          chainId: 31337,
          rpcUrls: [],
          nodes: [parts.node],
          contract: ANCHOR_ADDRESS,
          storeEvery: 'always',
          signer: parts.signer,
          ephemeral: false,
          firstRound: 1,
          pollInterval: 20,
          resendAfter: 0,
          database: parts.database,
          now: Date.now,
          logger: silent,
          declareSender: async () => {},
        });
      await open().register();
      const rounds = await closeRounds(database, ROUNDS);
      await addMissingAnchors(database, name, Date.now());
      const settings = { databaseUrl, rpcUrl: chain.url, name, contract: ANCHOR_ADDRESS, key: privateKey, rounds };
      const end = async (): Promise<void> => {
        await database.end();
        await drop();
      };
      return { database, whole, open, rounds, settings, end };
    }
    type Cell = Awaited<ReturnType<typeof openCell>>;

    async function untilFinal(target: EvmTarget, rounds: readonly number[]): Promise<void> {
      for (let i = 0; i < 200; i++) {
        const outcome = await target.advance(rounds);
        if ([...outcome.values()].every((again) => again === null)) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }

    /** @returns whether it was killed */
    async function runProcess(cell: Cell, fault: { effect: Effect; moment: Moment; occurrence: number } | null) {
      const child = spawn(process.execPath, [PROCESS, JSON.stringify({ ...cell.settings, fault })], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [code, signal] = await once(child, 'close');
      if (signal !== 'SIGKILL') expect(code).toBe(0);
      return signal === 'SIGKILL';
    }

    /** One mined transaction for each round, no nonce gap, all final, all proven, nothing signed twice. */
    async function judge({ database, whole, rounds }: Cell): Promise<string> {
      const { address } = whole.signer;
      const roots = await database.query<{ number: number; root: Buffer }>('SELECT number, root FROM rounds');
      const numbers = new Map(roots.rows.map(({ number, root }) => [root.toString('hex'), number]));
      const logs = await chain.provider.getLogs({ address: ANCHOR_ADDRESS, fromBlock: 0 });
      const events = logs
        .map((log) => decodeAnchoredLog(log))
        .filter((event) => event?.sender.toLowerCase() === address);
      const anchored = events.map((event) => numbers.get(Buffer.from(event?.root ?? []).toString('hex')));
      expect(anchored.toSorted((a = 0, b = 0) => a - b)).toEqual(rounds);
      expect(await chain.provider.getTransactionCount(address)).toBe(rounds.length);
      const { rows } = await database.query<{ status: string; proven: boolean }>(
        `SELECT a.status, e.index IS NOT NULL AS proven FROM anchors a
       LEFT JOIN evm_evidence e USING (target, round, block_hash)`,
      );
      expect(rows).toEqual(rounds.map(() => ({ status: 'finalized', proven: true })));
      const { rows: signed } = await database.query('SELECT nonce, status FROM evm_transactions ORDER BY nonce');
      expect(signed).toEqual(rounds.map((_, nonce) => ({ nonce, status: 'finalized' })));
      return `${anchored.length}/${rounds.length} once`;
    }

    test('each effect, failed or done but reported failed, the process going on or killed', async () => {
      const cells = EFFECTS.flatMap((effect) =>
        THEN.flatMap((then) => MOMENTS.map((moment) => ({ effect, moment, then }))),
      );
      const verdicts = await inParallel(cells, 3, async ({ effect, moment, then }) => {
        const cell = await openCell();
        let struck = 0;
        try {
          if (then === 'goes on') {
            const strike = async (): Promise<never> => {
              struck += 1;
              throw new Error(`${effect}: ${moment}`);
            };
            const parts = withFault(cell.whole, { effect, moment, due: (n) => n % 2 === 1 && n < 6, strike });
            await untilFinal(cell.open(parts), cell.rounds);
          } else {
            // At the first of its kind, then amid several.
            for (const occurrence of effect === 'commit' || effect === 'evidence' ? [1] : [1, 2]) {
              if (await runProcess(cell, { effect, moment, occurrence })) struck += 1;
            }
            await untilFinal(cell.open(), cell.rounds);
          }
          expect(struck, `${effect}, ${moment}, ${then}: nothing failed`).toBeGreaterThan(0);
          return `${await judge(cell)} (${struck}×)`;
        } catch (error) {
          throw new Error(`${effect}, ${moment}, ${then}`, { cause: error });
        } finally {
          await cell.end();
        }
      });
      const width = 27;
      const head = THEN.flatMap((then) => MOMENTS.map((moment) => [then, moment] as const));
      const lines = [
        ['', ...head.map(([then]) => then)],
        ['', ...head.map(([, moment]) => moment)],
        ...EFFECTS.map((effect, i) => [effect, ...verdicts.slice(i * head.length, (i + 1) * head.length)]),
      ];
      const table = lines.map(
        ([name = '', ...rest]) => name.padEnd(14) + rest.map((text) => text.padEnd(width)).join(''),
      );
      console.log(
        `faults in anchoring, ${ROUNDS} rounds a cell: rounds with one mined transaction (how often it failed)\n${table.join('\n')}`,
      );
    }, 120_000);

    test('three workers on one account at once, as processes: one transaction a round, no nonce gap', async () => {
      const cell = await openCell();
      try {
        const more = await closeRounds(cell.database, 27);
        await addMissingAnchors(cell.database, cell.settings.name, Date.now());
        const all = { ...cell, rounds: [...cell.rounds, ...more] };
        const crowd = { ...all, settings: { ...cell.settings, rounds: all.rounds } };
        await Promise.all([runProcess(crowd, null), runProcess(crowd, null), runProcess(crowd, null)]);
        console.log(`three workers, one account: ${await judge(all)}`);
      } finally {
        await cell.end();
      }
    });
  },
);
