// A round over very many logs: how long it takes to close beside signing and hashing alone, what it costs on chain, and
// how much longer it makes a receipt's path.
//
//   node bench/rounds.ts [--logs 10000]

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Wallet } from 'ethers';
import { z } from 'zod';
import { sha256Into } from '#sha256';
import { LOCAL_CHAIN_KEY, startChain } from '../scripts/local/chain.ts';
import { deployAnchor } from '../src/evm/deploy.ts';
import { LogSeed } from '../src/log/seed.ts';
import { openProvider } from '../test/support/chain.ts';
import { drafts, ORIGIN, openInstance } from '../test/support/instance.ts';
import { startChild } from './child.ts';
import { machine, percent, withDatabase } from './ground.ts';

const { values } = parseArgs({ options: { logs: { type: 'string', default: '10000' } } });
const count = Number(values.logs);
/** That of service-process.ts. */
const SEED = new LogSeed(new Uint8Array(32).fill(0x5e));

const receiptForm = z.object({
  round: z.object({ number: z.number(), size: z.number(), path: z.array(z.string()) }),
  anchors: z.array(z.object({ status: z.string() })),
});

console.log(machine());
await withDatabase(async (database) => {
  const instance = await openInstance(database, { seed: SEED });
  const names = Array.from({ length: count }, (_, i) => `log-${String(i).padStart(6, '0')}`);
  const grow = async (): Promise<void> => {
    for (let at = 0; at < count; at += 64) {
      await Promise.all(
        names.slice(at, at + 64).map(async (name) => {
          const log = (await instance.registry.find(name)) ?? (await instance.makeLog(name));
          await instance.appender.append(log, { drafts: drafts(1, name), idempotency: null });
        }),
      );
      if (process.stderr.isTTY) process.stderr.write(`\r${at} logs`);
    }
  };
  await grow();
  const closing = performance.now();
  await instance.closeRound();
  const seconds = (performance.now() - closing) / 1_000;
  const limit = signingTime(count);
  console.log(`\na round over ${count.toLocaleString('en')} logs that grew`);
  console.log(
    `  closed, each checkpoint signed and recorded: ${seconds.toFixed(2)} s; signing and hashing alone ${limit.toFixed(2)} s in this run (${percent(limit / seconds).trim()})`,
  );
  // The next one is closed and anchored by a service.
  await grow();
  await instance.end();
  await anchor(database, names);
});

/** Seconds that as many signatures and the hashes of such a tree take on one core. */
function signingTime(signatures: number): number {
  const signer = SEED.signer('bench.local/logs/one');
  const input = new Uint8Array(74);
  const out = new Uint8Array(32);
  const start = performance.now();
  for (let i = 0; i < signatures; i++) void signer.sign({ origin: signer.origin, size: i + 1, root: out });
  for (let i = 0; i < 2 * signatures; i++) sha256Into(input, out, 0);
  return (performance.now() - start) / 1_000;
}

async function anchor(database: string, names: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'antequem-bench-'));
  const chain = await startChain();
  const provider = openProvider(chain.url);
  const wallet = new Wallet(LOCAL_CHAIN_KEY, provider);
  try {
    await deployAnchor({ provider, signer: wallet, dryRun: false });
    const before = await provider.getTransactionCount(wallet.address);
    writeFileSync(join(folder, 'key'), LOCAL_CHAIN_KEY, { mode: 0o600 });
    const settings = {
      ORIGIN,
      ROLES: 'api,worker',
      ROUND_INTERVAL: '1s',
      RECONCILE_INTERVAL: '1s',
      EVM_RPC_URLS: chain.url,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
    };
    await using service = await startChild('./service-process.ts', database, JSON.stringify(settings));
    const steps: number[] = [];
    for (let i = 0; i < names.length; i += Math.ceil(names.length / 200)) {
      const response = await fetch(`${service.url}/v1/logs/${names[i]}/entries/1/receipt?wait=60`);
      const { round, anchors } = receiptForm.parse(await response.json());
      if (!anchors.some(({ status }) => status === 'finalized')) throw new Error('the round was not anchored');
      steps.push(round.path.length);
    }
    const sent = (await provider.getTransactionCount(wallet.address)) - before;
    const answer: unknown = await (await fetch(`${service.url}/v1/rounds`)).json();
    const rounds = z.object({ rounds: z.array(z.unknown()) }).parse(answer).rounds.length - 1;
    console.log(`  transactions: ${sent} for ${rounds} round(s)`);
    console.log(`  steps that the round adds to a path: ${Math.max(...steps)} at most, the leaf's own prefix one more`);
  } finally {
    provider.destroy();
    await chain.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
