import { HDNodeWallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { decodeAnchoredLog } from '../../src/core/anchored-event.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { rpcNode } from '../../src/evm/node.ts';
import { inParallel } from '../../src/evm/parallel.ts';
import { keySigner } from '../../src/evm/signer.ts';
import { EvmTarget, type EvmTargetOptions } from '../../src/evm/target.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { closeRounds, silent } from '../support/anchoring.ts';
import { anvilChain, noAnvil } from '../support/anvil-chain.ts';
import { openProvider, type TestChain } from '../support/chain.ts';
import { HABITS, type Habit, type HabitualNodes, habitualNodes } from '../support/node-habits.ts';
import { testDatabase } from '../support/postgres.ts';

const PHRASE = 'test test test test test test test test test test test junk';
const GWEI = 1_000_000_000n;

/** What rounds wait for with such a node, as it is told; all others are final in the end. */
const WAITS: Partial<Record<Habit, { readonly for: RegExp; readonly status: 'pending' | 'included' }>> = {
  'a least tip of 25 gwei': { for: /tip.*EVM_MAX_PRIORITY_FEE_GWEI/, status: 'pending' },
  'no finalized: refused': { for: /does not tell which block is final .*EVM_CONFIRMATIONS/, status: 'included' },
  'no finalized: null': { for: /names no final block.*EVM_CONFIRMATIONS/, status: 'included' },
  'no finalized: always block 0': { for: /calls nothing but block 0 final.*EVM_CONFIRMATIONS/, status: 'included' },
  'a proposal of tips that is throttled': { for: /the node throttles us.*EVM_RPC_URLS/, status: 'pending' },
  'all requests throttled': { for: /wants no requests for another \d+ s; the node throttles us/, status: 'pending' },
  'nonce too low, always': { for: /not taken: .*nonce is too low.*EVM_RPC_URLS/, status: 'pending' },
  'a page in place of an answer': { for: /not of the form expected.*EVM_RPC_URLS/, status: 'pending' },
  'no answer at all': { for: /no answer in time.*EVM_RPC_URLS/, status: 'pending' },
};

/** In place of 10 s, where nothing is to be waited for. */
const TIMEOUTS_MS: Partial<Record<Habit, number>> = { 'no answer at all': 100, 'no answer for a while': 500 };

describe.skipIf(noAnvil !== null)(`nodes of all habits${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  let chain: TestChain;
  let nodes: HabitualNodes;
  let database: Database;
  let rounds: number[];
  let drop: () => Promise<void>;
  let mining: NodeJS.Timeout;
  let accounts = 0;
  beforeAll(async () => {
    const [opened, at] = await Promise.all([
      anvilChain('--slots-in-an-epoch', '1', '--accounts', '50'),
      testDatabase(),
    ]);
    chain = opened;
    drop = at.drop;
    nodes = await habitualNodes(chain.url);
    database = openDatabase(at.url, { connections: 10 });
    rounds = await closeRounds(database, 2);
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    mining = setInterval(() => void chain.provider.send('anvil_mine', ['0x1']).catch(() => {}), 50);
  });
  afterAll(async () => {
    clearInterval(mining);
    await database?.end();
    await drop?.();
    await nodes?.[Symbol.asyncDispose]();
    await chain?.[Symbol.asyncDispose]();
  });

  /** A target behind such a node, with an account of its own. */
  async function openCell(habit: Habit) {
    accounts += 1;
    const { privateKey } = HDNodeWallet.fromPhrase(PHRASE, undefined, `m/44'/60'/0'/0/${accounts}`);
    const signer = keySigner(privateKey);
    const name = `habit-${accounts}`;
    const url = nodes.url(habit);
    const open = (options: Partial<EvmTargetOptions> = {}): EvmTarget =>
      new EvmTarget({
        name,
        chainId: 31337,
        rpcUrls: [],
        nodes: [rpcNode({ url, timeout: TIMEOUTS_MS[habit] ?? 10_000 })],
        contract: ANCHOR_ADDRESS,
        storeEvery: 'always',
        signer,
        caps: { maxFee: 100n * GWEI, priorityFee: 3n * GWEI },
        ephemeral: false,
        firstRound: 1,
        pollInterval: 20,
        resendAfter: 0,
        replaceAfter: 200,
        patience: 5_000,
        database,
        now: Date.now,
        logger: silent,
        declareSender: async () => {},
        ...options,
      });
    await open().register();
    await addMissingAnchors(database, name, Date.now());
    return { name, address: signer.address, open };
  }
  type Cell = Awaited<ReturnType<typeof openCell>>;

  async function stateOf({ name }: Cell) {
    const { rows } = await database.query<{ status: string; problem: string | null; proven: boolean }>(
      `SELECT a.status, a.problem, e.index IS NOT NULL AS proven FROM anchors a
       LEFT JOIN evm_evidence e USING (target, round, block_hash) WHERE a.target = $1 ORDER BY round`,
      [name],
    );
    const stops = await database.query('SELECT 1 FROM target_alarms WHERE target = $1', [name]);
    expect(stops.rowCount, 'alarms').toBe(0);
    return rows;
  }

  /** Looks again and again until that is so. */
  async function until(cell: Cell, target: EvmTarget, is: (state: Awaited<ReturnType<typeof stateOf>>) => boolean) {
    for (const end = performance.now() + 30_000; performance.now() < end; ) {
      await target.advance(rounds);
      if (is(await stateOf(cell))) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(JSON.stringify(await stateOf(cell)));
  }

  /** Each round once on the chain, and no transaction besides. */
  async function expectOnce({ address }: Cell): Promise<void> {
    const logs = await chain.provider.getLogs({ address: ANCHOR_ADDRESS, fromBlock: 0 });
    const events = logs.map((log) => decodeAnchoredLog(log)).filter((event) => event?.sender === address);
    const roots = events.map((event) => Buffer.from(event?.root ?? []).toString('hex'));
    expect(new Set(roots).size).toBe(rounds.length);
    expect(roots).toHaveLength(rounds.length);
    expect(await chain.provider.getTransactionCount(address)).toBe(rounds.length);
  }

  async function outcome(habit: Habit): Promise<string> {
    const cell = await openCell(habit);
    const waits = WAITS[habit];
    const target = cell.open();
    if (waits === undefined) {
      await until(cell, target, (state) => state.every(({ status }) => status === 'finalized'));
      await expectOnce(cell);
      return 'final once';
    }
    await until(cell, target, (state) =>
      state.every(({ status, problem }) => status === waits.status && waits.for.test(problem ?? '')),
    );
    if (waits.status === 'pending') return 'waits';
    // Where the operator says what is final, it goes on.
    expect((await stateOf(cell)).every(({ proven }) => proven)).toBe(true);
    const told = cell.open({ finality: { by: 'depth', blocks: 2 } });
    await until(cell, told, (state) => state.every(({ status }) => status === 'finalized'));
    await expectOnce(cell);
    return 'waits for EVM_CONFIRMATIONS, then final once';
  }

  test('end with each round final once, or wait with a reason that names the setting: never stopped, never twice', async () => {
    const habits = Object.keys(HABITS).filter((name): name is Habit => name in HABITS);
    const table = await inParallel(habits, 12, async (habit) => {
      try {
        return `${habit.padEnd(46)}${await outcome(habit)}`;
      } catch (error) {
        return `${habit.padEnd(46)}FAILED: ${error instanceof Error ? error.message : String(error)}`;
      }
    });
    console.log(`nodes and their habits, ${rounds.length} rounds each\n${table.join('\n')}`);
    expect(table.filter((line) => line.includes('FAILED'))).toEqual([]);
  }, 90_000);

  test('a deployment asks in batches, whose answers may come in any order', async () => {
    const provider = openProvider(nodes.url('a batch answered backwards'));
    try {
      const result = await deployAnchor({ provider, dryRun: true });
      expect(result).toMatchObject({ status: 'already-deployed', chain: 'eip155:31337', gasFrom: 'chain' });
    } finally {
      provider.destroy();
    }
  });

  test('a tip below what the chain takes is outbid once the cap is raised', async () => {
    const cell = await openCell('a least tip of 25 gwei');
    await until(cell, cell.open(), (state) => state.every(({ problem }) => problem !== null));
    const raised = cell.open({ caps: { maxFee: 200n * GWEI, priorityFee: 100n * GWEI } });
    await until(cell, raised, (state) => state.every(({ status }) => status === 'finalized'));
    await expectOnce(cell);
  }, 40_000);
});
