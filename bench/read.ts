// Reading over HTTP on 64 connections: receipts, tiles and the rest of what readers ask for, each beside bare Express
// that answers with the same bodies, in the same run.
//
//   node bench/read.ts [--entries 200000] [--requests 20000] [--turns 3] [--kinds receipt,tile] [--beside FOLDER]
//
// FOLDER is another checkout: its service is measured in turn with this one's. Of each figure the median of the turns counts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Wallet } from 'ethers';
import { LOCAL_CHAIN_KEY, startChain } from '../scripts/local/chain.ts';
import { startPostgres } from '../scripts/local/postgres.ts';
import { TILE_WIDTH, tilePath } from '../src/core/tiles.ts';
import { deployAnchor } from '../src/evm/deploy.ts';
import { openProvider } from '../test/support/chain.ts';
import { type BenchChild, startChild } from './child.ts';
import { machine, median, percent, perSecond } from './ground.ts';
import { runLoad } from './load.ts';

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '200000' },
    requests: { type: 'string', default: '20000' },
    turns: { type: 'string', default: '3' },
    kinds: { type: 'string' },
    beside: { type: 'string' },
  },
});
const entries = Number(values.entries);
const requests = Number(values.requests);
/** Of each kind so many different ones are asked for: with 8 kB tiles more than the service remembers. */
const KINDS = 5_000;
/** Of so many of them bare Express has the answers. */
const KNOWN = 500;

const random = (below: number): number => Math.floor(Math.random() * below);
const tile = (): string => tilePath(random(Math.floor(entries / TILE_WIDTH)));
const kinds: Readonly<Record<string, () => string>> = {
  receipt: () => `/v1/logs/bench/entries/${random(entries)}/receipt`,
  tile: () => `/logs/bench/tile/0/${tile()}`,
  'entry bundle': () => `/logs/bench/tile/entries/${tile()}`,
  checkpoint: () => '/logs/bench/checkpoint',
  entry: () => `/v1/logs/bench/entries/${random(entries)}`,
  payload: () => `/v1/logs/bench/entries/${random(entries)}/payload`,
  'consistency proof': () => `/v1/logs/bench/proofs/consistency?from=${1 + random(entries - 1)}&to=${entries}`,
  'receipt.path': () => `/v1/logs/bench/entries/${random(entries)}/receipt.path`,
};
const chosen = values.kinds?.split(',') ?? Object.keys(kinds);

const folder = mkdtempSync(join(tmpdir(), 'antequem-bench-'));
const keyFile = join(folder, 'key');
writeFileSync(keyFile, LOCAL_CHAIN_KEY, { mode: 0o600 });
console.log(machine());
try {
  await withService(resolve(import.meta.dirname, '..'), async (service) => {
    if (values.beside === undefined) return compare([service]);
    await withService(resolve(values.beside), (other) => compare([service, other]));
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** A service of a checkout with a log of anchored entries, on a database and a chain of its own. */
async function withService(checkout: string, work: (service: BenchChild) => Promise<void>): Promise<void> {
  const chain = await startChain();
  const provider = openProvider(chain.url);
  try {
    await deployAnchor({ provider, signer: new Wallet(LOCAL_CHAIN_KEY, provider), dryRun: false });
    const settings = JSON.stringify({
      ROLES: 'api,worker',
      ROUND_INTERVAL: '2s',
      EVM_RPC_URLS: chain.url,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: keyFile,
    });
    // The service itself brings the database to its schema, whichever that is.
    const server = await startPostgres({ dataDir: mkdtempSync(join(tmpdir(), 'antequem-bench-')), disposable: true });
    try {
      const file = pathToFileURL(join(checkout, 'bench/service-process.ts')).href;
      await using service = await startChild(file, server.url, settings);
      await fill(service);
      await work(service);
    } finally {
      await server.stop();
    }
  } finally {
    provider.destroy();
    await chain.stop();
  }
}

async function fill(service: BenchChild): Promise<void> {
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
}

async function compare(services: readonly BenchChild[]): Promise<void> {
  console.log(`\nreads on 64 connections, a log of ${entries.toLocaleString('en')} entries, anchored`);
  for (const kind of chosen) await compareKind(kind, services);
  for (const service of services) {
    console.log(`  service at most ${Math.round((await service.usage()).maxRss / 2 ** 20)} MB`);
  }
}

async function compareKind(kind: string, services: readonly BenchChild[]): Promise<void> {
  const path = kinds[kind];
  if (path === undefined) throw new Error(`no such kind: ${kind}`);
  const paths = Array.from({ length: KINDS }, path);
  const known = [...new Set(paths.slice(0, KNOWN))];
  const { file, size } = await writeAnswers(services[0]?.url ?? '', known);
  await using express = await startChild('./express-process.ts', file);
  // The first time warms the compilers up.
  await load(express, known);
  for (const service of services) await load(service, paths);
  const turns: { bare: Cost; cost: Cost }[][] = services.map(() => []);
  for (let turn = 0; turn < Number(values.turns); turn++) {
    for (const [i, service] of services.entries()) {
      turns[i]?.push({ bare: await load(express, known), cost: await load(service, paths) });
    }
  }
  const multiples = turns.map((each) => median(each.map(({ bare, cost }) => cost.cpu / bare.cpu)));
  for (const [i, each] of turns.entries()) {
    const bare = costOf(each.map((turn) => turn.bare));
    const cost = costOf(each.map((turn) => turn.cost));
    const what = i === 0 ? `${kind}, ${size} bytes` : '  the other one';
    const rates = `${perSecond(cost.rate)}  p99 ${cost.p99.toFixed(1).padStart(5)} ms`;
    const beside = `${percent(median(each.map((turn) => turn.cost.rate / turn.bare.rate)))} of bare Express (${perSecond(bare.rate).trim()})`;
    const cpu = `${Math.round(cost.cpu)} µs of a core each (${Math.round(bare.cpu)} µs, ${multiples[i]?.toFixed(2)})`;
    console.log(`  ${what.padEnd(32)}${rates}  ${beside}, ${cpu}`);
  }
  const [ours, other] = multiples;
  if (ours !== undefined && other !== undefined)
    console.log(`    ratio of the multiples: ${(ours / other).toFixed(2)}`);
}

interface Cost {
  readonly rate: number;
  readonly p99: number;
  /** Microseconds of a core for each. */
  readonly cpu: number;
}

function costOf(costs: readonly Cost[]): Cost {
  const middle = (of: (cost: Cost) => number): number => median(costs.map(of));
  return { rate: middle(({ rate }) => rate), p99: middle(({ p99 }) => p99), cpu: middle(({ cpu }) => cpu) };
}

async function load(child: BenchChild, paths: readonly string[]): Promise<Cost> {
  const before = await child.usage();
  const result = await runLoad({
    url: child.url,
    connections: 64,
    requests,
    method: 'GET',
    path: (i) => paths[i % paths.length] ?? '/',
    headers: { 'accept-encoding': 'identity' },
    expect: 200,
  });
  if (result.failures > 0) throw new Error(`${result.failures} requests failed`);
  const cpu = ((await child.usage()).cpu - before.cpu) / requests;
  return { rate: result.requests / result.seconds, p99: result.p99, cpu: cpu * 1_000 };
}

/** What bare Express answers with, and how long that is in the mean. */
async function writeAnswers(url: string, paths: readonly string[]): Promise<{ file: string; size: number }> {
  const answers: Record<string, { type: string; encoding: string | null; body: string }> = {};
  let bytes = 0;
  for (const path of paths) {
    const response = await fetch(url + path, { headers: { 'accept-encoding': 'identity' } });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    const body = Buffer.from(await response.arrayBuffer());
    bytes += body.length;
    answers[path] = {
      type: response.headers.get('content-type') ?? '',
      encoding: null,
      body: body.toString('base64'),
    };
  }
  const file = join(folder, 'answers.json');
  writeFileSync(file, JSON.stringify(answers));
  return { file, size: Math.round(bytes / paths.length) };
}
