import { type JsonRpcProvider, Wallet } from 'ethers';
import { pino } from 'pino';
import { LOCAL_CHAIN_KEY, type LocalChain, type LocalChainOptions, startChain } from '../../scripts/local/chain.ts';
import { decodeAnchoredLog } from '../../src/core/anchored-event.ts';
import { claimDeclaration } from '../../src/evm/account.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { keySigner } from '../../src/evm/signer.ts';
import { EvmTarget, type EvmTargetOptions } from '../../src/evm/target.ts';
import { type Database, openDatabase, transaction } from '../../src/store/database.ts';
import { openProvider, placeContract } from './chain.ts';
import { testDatabase } from './postgres.ts';

export const silent = pino({ level: 'silent' });

/** Account 1 of every Hardhat chain; account 0 deploys. */
export const SENDER_KEY = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d';
export const SENDER = keySigner(SENDER_KEY).address;

/** A local chain that can be ended and started anew at the same place. */
export interface RestartableChain {
  readonly url: string;
  readonly provider: JsonRpcProvider;
  deploy(): Promise<void>;
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

export async function restartableChain(options: Pick<LocalChainOptions, 'hardfork'> = {}): Promise<RestartableChain> {
  let chain: LocalChain = await startChain(options);
  const { url } = chain;
  const provider = openProvider(url);
  return {
    url,
    provider,
    deploy: async () => {
      if (options.hardfork === 'amsterdam') return placeContract(provider);
      await deployAnchor({ provider, signer: new Wallet(LOCAL_CHAIN_KEY, provider), dryRun: false });
    },
    down: () => chain.stop(),
    up: async () => {
      chain = await startChain({ ...options, port: Number(new URL(url).port) });
      if (chain.url !== url) throw new Error(`the chain came back at ${chain.url}, not at ${url}`);
    },
    stop: async () => {
      provider.destroy();
      await chain.stop();
    },
  };
}

export interface AnchorGround {
  readonly database: Database;
  readonly databaseUrl: string;
  readonly chain: RestartableChain;
  /** Accounts that were declared. */
  readonly declared: string[];
  /** A target such as one process has; several of one name are several processes. */
  target(options?: Partial<EvmTargetOptions>): EvmTarget;
  /** Adds rounds after the newest. */
  close(count: number): Promise<number[]>;
  stop(): Promise<void>;
}

/** A database and a chain on which the contract stands; targets have these options where a test does not give others. */
export async function anchorGround(
  openChain: () => Promise<RestartableChain> = () => restartableChain(),
  defaults: Partial<EvmTargetOptions> = {},
): Promise<AnchorGround> {
  const [{ url, drop }, chain] = await Promise.all([testDatabase(), openChain()]);
  const database = openDatabase(url, { connections: 20 });
  await chain.deploy();
  const declared: string[] = [];
  const targets: EvmTarget[] = [];
  return {
    database,
    databaseUrl: url,
    chain,
    declared,
    target: (options = {}) => {
      const target = new EvmTarget({
        name: 'local',
        chainId: 31337,
        rpcUrls: [chain.url],
        contract: ANCHOR_ADDRESS,
        storeEvery: 'always',
        signer: keySigner(SENDER_KEY),
        ephemeral: true,
        pollInterval: 50,
        resendAfter: 0,
        database,
        now: Date.now,
        logger: silent,
        declareSender: (account) =>
          transaction(database, async (tx) => {
            if (await claimDeclaration(tx, account, Date.now())) declared.push(account.address);
          }),
        ensureContract: () => chain.deploy(),
        ...defaults,
        ...options,
      });
      targets.push(target);
      return target;
    },
    close: (count) => closeRounds(database, count),
    stop: async () => {
      for (const target of targets) target.close();
      await database.end();
      await Promise.all([drop(), chain.stop()]);
    },
  };
}

/** Rounds with roots that are hashes of nothing. */
export async function closeRounds(database: Database, count: number): Promise<number[]> {
  const rows = await transaction(database, async (client) => {
    // Two processes of a test may close at once.
    await client.query('LOCK TABLE rounds IN EXCLUSIVE MODE');
    const inserted = await client.query<{ number: number }>(
      `INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons)
       SELECT n, 1700000000000 + n, sha256(int8send(n - 1)), sha256(int8send(n)), 1, '[]'
       FROM (SELECT coalesce(max(number), 0) AS last FROM rounds) r, generate_series(last + 1, last + $1::bigint) AS n
       RETURNING number`,
      [count],
    );
    return inserted.rows;
  });
  return rows.map(({ number }) => number).toSorted((a, b) => a - b);
}

/** How often each root was anchored on the chain, by round; whatever is not a round of the database is an error. */
export async function minedAnchors({ database, chain }: AnchorGround): Promise<Map<number, number>> {
  const { rows } = await database.query<{ number: number; root: Buffer }>('SELECT number, root FROM rounds');
  const rounds = new Map(rows.map(({ number, root }) => [root.toString('hex'), number]));
  const logs = await chain.provider.getLogs({ address: ANCHOR_ADDRESS, fromBlock: 0 });
  const counts = new Map<number, number>();
  for (const log of logs) {
    const event = decodeAnchoredLog(log);
    const round = event === null ? undefined : rounds.get(Buffer.from(event.root).toString('hex'));
    if (round === undefined) throw new Error(`an event that is not ours in ${log.transactionHash}`);
    counts.set(round, (counts.get(round) ?? 0) + 1);
  }
  return counts;
}

/** Anchors of each status. */
export async function statuses(database: Database): Promise<Record<string, number>> {
  const { rows } = await database.query<{ status: string; count: number }>(
    'SELECT status, count(*) FROM anchors GROUP BY status',
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}
