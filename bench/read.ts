// Reading over HTTP on 64 connections: receipts, tiles and the rest of what readers ask for, each beside bare Express
// that answers with the same bodies, in the same run.
//
//   node bench/read.ts [--entries 200000] [--requests 20000]

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Wallet } from 'ethers';
import { LOCAL_CHAIN_KEY, startChain } from '../scripts/local/chain.ts';
import { deployAnchor } from '../src/evm/deploy.ts';
import { openProvider } from '../test/support/chain.ts';
import { type BenchChild, startChild } from './child.ts';
import { machine, percent, perSecond, withDatabase } from './ground.ts';
import { runLoad } from './load.ts';

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '200000' }, requests: { type: 'string', default: '20000' } },
});
const entries = Number(values.entries);
const requests = Number(values.requests);
/** Of each kind so many different ones are asked for: with 8 kB tiles more than the service remembers. */
const KINDS = 5_000;
const micros = (ms: number): string => `${Math.round(ms * 1_000)} µs`;
const folder = mkdtempSync(join(tmpdir(), 'antequem-bench-'));

console.log(machine());
const chain = await startChain();
const provider = openProvider(chain.url);
try {
  await deployAnchor({ provider, signer: new Wallet(LOCAL_CHAIN_KEY, provider), dryRun: false });
  await withDatabase(read);
} finally {
  provider.destroy();
  await chain.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function read(database: string): Promise<void> {
  writeFileSync(join(folder, 'key'), LOCAL_CHAIN_KEY, { mode: 0o600 });
  const settings = {
    ROLES: 'api,worker',
    ROUND_INTERVAL: '2s',
    EVM_RPC_URLS: chain.url,
    EVM_CHAIN_ID: '31337',
    EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
  };
  await using service = await startChild('./service-process.ts', database, JSON.stringify(settings));
  await fetch(`${service.url}/v1/logs/bench`, { method: 'PUT' });
  for (let at = 0; at < entries; at += 10_000) {
    const body = Array.from({ length: 10_000 }, (_, i) => `{"entry":${at + i},"says":"${'.'.repeat(160)}"}\n`).join('');
    const headers = { 'content-type': 'application/x-ndjson' };
    const response = await fetch(`${service.url}/v1/logs/bench/entries`, { method: 'POST', headers, body });
    if (response.status !== 201) throw new Error(`append: ${response.status}`);
    await response.arrayBuffer();
  }
  const last = `${service.url}/v1/logs/bench/entries/${entries - 1}/receipt?wait=60`;
  const receipt: unknown = await (await fetch(last)).json();
  if (!JSON.stringify(receipt).includes('finalized')) throw new Error('the rounds were not anchored');

  const random = (below: number): number => Math.floor(Math.random() * below);
  const tile = (index: number): string => String(index).padStart(3, '0');
  const fullTiles = Math.floor(entries / 256);
  const kinds: Record<string, () => string> = {
    receipt: () => `/v1/logs/bench/entries/${random(entries)}/receipt`,
    tile: () => `/logs/bench/tile/0/${tile(random(fullTiles))}`,
    'entry bundle': () => `/logs/bench/tile/entries/${tile(random(fullTiles))}`,
    checkpoint: () => '/logs/bench/checkpoint',
    entry: () => `/v1/logs/bench/entries/${random(entries)}`,
    payload: () => `/v1/logs/bench/entries/${random(entries)}/payload`,
    'consistency proof': () => `/v1/logs/bench/proofs/consistency?from=${1 + random(entries - 1)}&to=${entries}`,
    'receipt.path': () => `/v1/logs/bench/entries/${random(entries)}/receipt.path`,
  };
  console.log(`\nreads on 64 connections, a log of ${entries.toLocaleString('en')} entries, anchored`);
  for (const [kind, path] of Object.entries(kinds).filter(([k]) => !process.env.KIND || k === process.env.KIND)) {
    const paths = Array.from({ length: KINDS }, path);
    const file = join(folder, 'answers.json');
    const answers: Record<string, { type: string; encoding: string | null; body: string }> = {};
    for (const each of new Set(paths.slice(0, 500))) {
      const response = await fetch(service.url + each, { headers: { 'accept-encoding': 'identity' } });
      if (!response.ok) throw new Error(`${each}: ${response.status}`);
      const type = response.headers.get('content-type') ?? '';
      const body = Buffer.from(await response.arrayBuffer()).toString('base64');
      answers[each] = { type, encoding: null, body };
    }
    writeFileSync(file, JSON.stringify(answers));
    await using express = await startChild('./express-process.ts', file);
    const known = Object.keys(answers);
    const load = async (child: BenchChild, from: readonly string[]) => {
      const before = await child.usage();
      const result = await runLoad({
        url: child.url,
        connections: 64,
        requests,
        method: 'GET',
        path: (i) => from[i % from.length] ?? '/',
        headers: { 'accept-encoding': 'identity' },
        expect: 200,
      });
      const cpu = ((await child.usage()).cpu - before.cpu) / requests;
      return { ...result, cpu, rate: result.requests / result.seconds };
    };
    // Twice each, the second counts: the first warms the compilers up.
    await load(express, known);
    await load(service, paths);
    const bare = await load(express, known);
    const ours = await load(service, paths);
    const size = Math.round(
      Object.values(answers).reduce((sum, { body }) => sum + (body.length * 3) / 4, 0) / known.length,
    );
    console.log(
      `  ${kind.padEnd(18)}${perSecond(ours.rate)}  p99 ${ours.p99.toFixed(1).padStart(5)} ms  ${percent(ours.rate / bare.rate)} of bare Express (${perSecond(bare.rate).trim()}), ${micros(ours.cpu)} of a core each (${micros(bare.cpu)}), ${size} bytes, failures ${ours.failures}`,
    );
  }
  console.log(`  service at most ${Math.round((await service.usage()).maxRss / 2 ** 20)} MB`);
}
