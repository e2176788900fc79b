import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { JsonRpcProvider, Wallet } from 'ethers';
import { pino } from 'pino';
import { type Config, readConfig } from '../../src/config.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { serve } from '../../src/main.ts';
import type { AuthorityConfig } from '../../src/tsa/target.ts';
import { LOCAL_POLICY, localAuthority } from './authority.ts';
import type { LocalBitcoin } from './bitcoin.ts';
import { LOCAL_CHAIN_KEY } from './chain.ts';

/** What the service stands on in local mode. */
export interface Ground {
  readonly dataDir: string;
  readonly databaseUrl: string;
  readonly evmRpcUrl: string;
  readonly chainId: number;
  /** Null where it could not be started: nothing is stamped then. */
  readonly bitcoin: LocalBitcoin | null;
  /** What stamps rounds; null: those of TSA_FILE do. */
  readonly stamping: AuthorityConfig | null;
  /** Where the service is to listen, bound already, and its port. */
  readonly socket: Server;
  readonly port: number;
}

export interface Service {
  readonly url: string;
  /** Address of the contract it anchors with. */
  readonly contract: string;
  /** Finishes what is under way. */
  stop(): Promise<void>;
}

/** The service of local mode, in this process. */
export async function startService(ground: Ground): Promise<Service> {
  const contract = await deployContract(ground.evmRpcUrl);
  const logger = pino({ level: process.env.LOG_LEVEL || 'warn', base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const running = await serve(localConfig(ground), logger, {
    ensureContract: async () => void (await deployContract(ground.evmRpcUrl)),
    socket: ground.socket,
  });
  return { url: running.url ?? '', contract, stop: () => running.stop() };
}

/** Settings that suit one who tries things out: quick rounds, no keys, on loopback alone. */
function localConfig({ dataDir, databaseUrl, evmRpcUrl, chainId, bitcoin, stamping, port }: Ground): Config {
  const authority = localAuthority(dataDir, Date.now());
  const config = readConfig({
    DATABASE_URL: databaseUrl,
    ORIGIN: 'antequem.local',
    LOG_SEED_FILE: secretFile(dataDir, 'log-seed', () => randomBytes(32).toString('hex')),
    LOG_GUARD_FILE: join(dataDir, 'published'),
    PORT: String(port),
    ROUND_INTERVAL: '2s',
    RECONCILE_INTERVAL: '5s',
    // Whoever tries webhooks out has a receiver of their own here.
    WEBHOOK_ALLOW_PRIVATE: 'true',
    EVM_RPC_URLS: evmRpcUrl,
    EVM_CHAIN_ID: String(chainId),
    EVM_STORE_EVERY: 'always',
    EVM_PRIVATE_KEY_FILE: secretFile(dataDir, 'evm-key', () => LOCAL_CHAIN_KEY),
    ...(bitcoin === null
      ? {}
      : {
          OTS_CALENDARS: bitcoin.calendarUrl,
          BITCOIN_RPC_URL: bitcoin.rpcUrl,
          BITCOIN_CHAIN: bitcoin.chain,
          CALENDAR: 'on',
          CALENDAR_URL: `http://127.0.0.1:${port}`,
        }),
    TSA_SERVE: 'on',
    TSA_SERVE_CERT_FILE: authority.certFile,
    TSA_SERVE_KEY_FILE: authority.keyFile,
    TSA_SERVE_POLICY: LOCAL_POLICY,
    ...(process.env.TSA_FILE ? { TSA_FILE: process.env.TSA_FILE } : {}),
    ...(process.env.REDIS_URL ? { REDIS_URL: process.env.REDIS_URL } : {}),
  });
  return {
    ...config,
    open: true,
    targets: config.targets.map((target) => ({ ...target, ephemeral: true })),
    ots: config.ots === null ? null : { ...config.ots, ephemeral: true },
    authorities: stamping === null ? config.authorities : [stamping],
  };
}

/** The name of a file that nobody else can read; made with this content where it is not there. */
function secretFile(dataDir: string, name: string, content: () => string): string {
  const file = join(dataDir, name);
  if (!existsSync(file)) writeFileSync(file, `${content()}\n`, { mode: 0o600, flag: 'wx' });
  return file;
}

/** Puts the contract on the local chain, with the account that every such chain has. */
async function deployContract(rpcUrl: string): Promise<string> {
  // Without a cache: the chain mines at once, and what was asked a moment ago is old.
  const provider = new JsonRpcProvider(rpcUrl, undefined, { cacheTimeout: -1 });
  try {
    const signer = new Wallet(LOCAL_CHAIN_KEY, provider);
    await deployAnchor({ provider, signer, dryRun: false });
    return ANCHOR_ADDRESS;
  } finally {
    provider.destroy();
  }
}
