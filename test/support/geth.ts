// go-ethereum's own node, built by Go from the module proxy: a development chain under the rules of a fork.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type JsonRpcProvider, parseEther, Wallet } from 'ethers';
import { z } from 'zod';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { openProvider, type TestChain } from './chain.ts';

const VERSION = 'v1.17.10';
export const GETH_CHAIN_ID = 1337;
/** A thousand coins. */
const FUNDS = `0x${parseEther('1000').toString(16)}`;
const PATH = [process.env.PATH, '/usr/local/go/bin'].join(delimiter);

/** Builds it once for this machine. @returns the program */
async function buildGeth(): Promise<string> {
  const folder = join(tmpdir(), `antequem-geth-${VERSION}`);
  const program = join(folder, 'geth');
  if (existsSync(program)) return program;
  await mkdir(folder, { recursive: true });
  const env = { ...process.env, PATH, GOBIN: folder };
  await promisify(execFile)('go', ['install', `github.com/ethereum/go-ethereum/cmd/geth@${VERSION}`], { env });
  return program;
}

const genesisForm = z.looseObject({
  config: z.looseObject({}),
  alloc: z.record(z.string(), z.looseObject({})),
});

/** What `--dev` begins with, without the fork that prices storage anew (findings/geth-dev-forks.sh): Osaka and no more. */
async function writeOsaka(program: string, folder: string): Promise<void> {
  const { stdout } = await promisify(execFile)(program, ['--dev', 'dumpgenesis']);
  const genesis = genesisForm.parse(JSON.parse(stdout));
  const { bogotaTime, amsterdamTime, ...config } = genesis.config;
  // `--dev` gives coins to an account that it makes itself, in a genesis of its own alone.
  const alloc = { ...genesis.alloc, [new Wallet(LOCAL_CHAIN_KEY).address.slice(2)]: { balance: FUNDS } };
  const file = join(folder, 'genesis.json');
  await writeFile(file, JSON.stringify({ ...genesis, config, alloc }));
  await promisify(execFile)(program, ['init', '--datadir', folder, file]);
}

/** A chain that makes a block a second; account 0 of Hardhat's chains is funded. `await using` ends it. */
export async function gethChain(fork: 'osaka' | 'amsterdam'): Promise<TestChain> {
  const program = await buildGeth();
  const [folder, port, engine] = await Promise.all([mkdtemp(join(tmpdir(), 'antequem-geth-')), freePort(), freePort()]);
  if (fork === 'osaka') await writeOsaka(program, folder);
  const args = [
    ...['--dev', '--dev.period', '1', '--datadir', folder, '--nodiscover', '--maxpeers', '0', '--port', '0'],
    ...[
      '--ipcdisable',
      '--http',
      '--http.addr',
      '127.0.0.1',
      '--http.port',
      String(port),
      '--http.api',
      'eth,net,web3',
    ],
    ...['--authrpc.port', String(engine), '--rpc.allow-unprotected-txs', '--verbosity', '2'],
    ...(fork === 'amsterdam' ? ['--override.amsterdam', '0'] : []),
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const said: string[] = [];
  child.stderr.on('data', (chunk) => said.push(String(chunk)));
  const url = `http://127.0.0.1:${port}`;
  const provider = openProvider(url, GETH_CHAIN_ID);
  const dispose = async (): Promise<void> => {
    provider.destroy();
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await listens(url, child, said);
    if (fork === 'amsterdam') await fundFirst(provider);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { url, provider, wallet: new Wallet(LOCAL_CHAIN_KEY, provider), [Symbol.asyncDispose]: dispose };
}

/** From the account that a development chain is made with. */
async function fundFirst(provider: JsonRpcProvider): Promise<void> {
  const [from] = z.array(z.string()).parse(await provider.send('eth_accounts', []));
  const to = new Wallet(LOCAL_CHAIN_KEY).address;
  const hash = z.string().parse(await provider.send('eth_sendTransaction', [{ from, to, value: FUNDS }]));
  await provider.waitForTransaction(hash, 1, 30_000);
}

async function listens(url: string, child: ChildProcess, said: readonly string[]): Promise<void> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] });
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) break;
    const answer = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json' } }).catch(
      () => null,
    );
    if (answer?.ok === true) return;
    await sleep(100);
  }
  throw new Error(`geth does not listen: ${said.join('').slice(-2_000)}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
