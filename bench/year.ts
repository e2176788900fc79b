// What grows with time: reads and appends of a service that has closed a round a minute for a year, beside one that is
// young. The rounds are made up; the entries are real.
//
//   node bench/year.ts [--rounds 525600] [--entries 3000000] [--commits 60000] [--service FOLDER]
//
// FOLDER is a checkout, whose service is measured instead of this one's.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startPostgres } from '../scripts/local/postgres.ts';
import { makeUpAnchors, makeUpRounds } from '../test/support/made-up-rounds.ts';
import { type BenchChild, startChild } from './child.ts';
import { machine } from './ground.ts';
import { type LoadResult, runLoad } from './load.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '525600' },
    entries: { type: 'string', default: '3000000' },
    commits: { type: 'string', default: '60000' },
    service: { type: 'string', default: resolve(import.meta.dirname, '..') },
  },
});
const entries = Number(values.entries);
/** That a snapshot is held for. */
const COMMITS = Number(values.commits);
const BATCH = 1_000;
const LOG = '/v1/logs/year';
const YOUNG_ROUNDS = 100;

type Figures = ReadonlyMap<string, number>;

console.log(machine());
console.log(`service of ${values.service}, ${entries.toLocaleString('en')} entries`);
const young = await measure(YOUNG_ROUNDS);
const old = await measure(Number(values.rounds));
console.log(`\n${''.padEnd(52)}${'young'.padStart(10)}${'a year'.padStart(10)}${'ratio'.padStart(8)}`);
for (const [what, value] of old) {
  const before = young.get(what) ?? Number.NaN;
  console.log(
    `${what.padEnd(52)}${before.toFixed(2).padStart(10)}${value.toFixed(2).padStart(10)}${(value / before).toFixed(2).padStart(8)}`,
  );
}

async function measure(rounds: number): Promise<Figures> {
  const dataDir = mkdtempSync(join(tmpdir(), 'antequem-year-'));
  const server = await startPostgres({ dataDir, disposable: true });
  const client = new pg.Client({ connectionString: server.url });
  try {
    const settings = JSON.stringify({ ROLES: 'api,worker', ROUND_INTERVAL: '10s' });
    const file = pathToFileURL(join(values.service, 'bench/service-process.ts')).href;
    await using service = await startChild(file, server.url, settings);
    await client.connect();
    console.log(`\n${rounds.toLocaleString('en')} rounds`);
    await makeUpRounds(client, rounds);
    await fill(service, client, rounds);
    return await figuresOf(service, client, server.url);
  } finally {
    await client.end();
    await server.stop();
  }
}

function event(i: number): string {
  return JSON.stringify({
    kind: 'Event',
    level: 'Metadata',
    verb: ['get', 'list', 'watch', 'patch'][i % 4],
    user: { username: `user-${i % 97}`, groups: ['system:authenticated'] },
    objectRef: { resource: 'pods', namespace: `team-${i % 31}`, name: `pod-${i}` },
    responseStatus: { code: i % 50 === 0 ? 403 : 200 },
  });
}

/** Appends the entries, has rounds closed over them, and makes up the anchors of those. */
async function fill(service: BenchChild, client: pg.Client, rounds: number): Promise<void> {
  await fetch(service.url + LOG, { method: 'PUT' });
  const began = performance.now();
  const { failures } = await runLoad({
    url: service.url,
    connections: 4,
    requests: entries / BATCH,
    method: 'POST',
    path: `${LOG}/entries`,
    headers: { 'content-type': 'application/x-ndjson' },
    body: (n) => Buffer.from(Array.from({ length: BATCH }, (_, i) => event(n * BATCH + i)).join('\n')),
    expect: 201,
  });
  if (failures > 0) throw new Error(`${failures} appends failed`);
  const seconds = (performance.now() - began) / 1_000;
  console.log(`  filled in ${seconds.toFixed(0)} s`);
  for (let covered = false; !covered; ) {
    const receipt = await fetch(`${service.url}${LOG}/entries/${entries - 1}/receipt?wait=30&until=round`);
    covered = (await receipt.text()).includes('"round"');
  }
  const { rows } = await client.query<{ last: number }>('SELECT max(number)::int AS last FROM rounds');
  await makeUpAnchors(client, rounds + 1, rows[0]?.last ?? 0);
  await client.query('VACUUM ANALYZE');
  await client.query('CHECKPOINT');
}

async function figuresOf(service: BenchChild, client: pg.Client, database: string): Promise<Figures> {
  const figures = new Map<string, number>();
  const note = (what: string, value: number): void => {
    figures.set(what, value);
    console.log(`  ${what.padEnd(50)}${value.toFixed(2).padStart(12)}`);
  };
  const random = (): number => Math.floor(Math.random() * entries);
  const read = (path: string | (() => string), requests: number, connections = 1): Promise<LoadResult> =>
    runLoad({
      url: service.url,
      connections,
      requests,
      method: 'GET',
      path: typeof path === 'string' ? path : () => path(),
      expect: 200,
    });

  const receipt = (): string => `${LOG}/entries/${random()}/receipt`;
  await read(receipt, 100);
  note('receipt of a random entry, p50, ms', (await read(receipt, 1_000)).p50);
  const place = (): string => `/v1/entries?digest=${createHash('sha256').update(event(random())).digest('hex')}`;
  await read(place, 50);
  note('digest look-up, p50, ms', (await read(place, 300)).p50);
  const crowd = await read(place, 960, 32);
  if (crowd.failures > 0) throw new Error(`${crowd.failures} of 960 digests were not found`);
  note('digest look-up, 32 at once, p99, ms', crowd.p99);
  await read('/v1/rounds?limit=1000', 1);
  note('rounds?limit=1000, p50, ms', (await read('/v1/rounds?limit=1000', 5)).p50);
  note('rounds?limit=60, p50, ms', (await read('/v1/rounds?limit=60', 21)).p50);
  note('/metrics read anew, ms', await freshMetrics(service));

  const append = (requests: number, connections: number): Promise<LoadResult> =>
    runLoad({
      url: service.url,
      connections,
      requests,
      method: 'POST',
      path: `${LOG}/entries`,
      body: (i) => Buffer.from(`{"single":${i}}`),
      expect: 201,
    });
  await append(1_000, 8);
  const alone = await append(4_000, 8);
  note('append alone, p50, ms', alone.p50);
  note('append alone, p99, ms', alone.p99);

  const over = new AbortController();
  const beside = [
    ...Array.from({ length: 16 }, () =>
      repeat(service, () => `${LOG}/entries?text=absent&from=${random()}`, over.signal),
    ),
    repeat(service, () => '/v1/rounds?limit=60', over.signal, 1_000),
    repeat(service, () => '/v1/logs?limit=500', over.signal, 1_000),
    repeat(service, () => '/readyz', over.signal, 1_000),
  ];
  const audit = spawn(process.execPath, [join(values.service, 'src/cli/antequem.js'), 'audit'], {
    env: { ...process.env, DATABASE_URL: database, ORIGIN: 'bench.local' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [audit.stdout, audit.stderr]) stream.on('data', (some: Buffer) => (said += some));
  await sleep(3_000);
  const crowded = await append(4_000, 8);
  if (audit.exitCode !== null) console.log(`  the audit had ended before (${audit.exitCode}): ${said.split('\n', 1)}`);
  audit.kill();
  over.abort();
  const searches = (await Promise.all(beside)).slice(0, 16).reduce((sum, count) => sum + count, 0);
  note('append beside 16 searches, overview and audit, p50, ms', crowded.p50);
  note('append beside 16 searches, overview and audit, p99, ms', crowded.p99);
  note('the same p99, as multiple of that alone', crowded.p99 / alone.p99);
  note('pages searched meanwhile, a second', searches / (crowded.seconds + 3));

  const plain = await exportRate(service, false);
  const proven = await exportRate(service, true);
  note('export without receipts, thousand entries/s', plain / 1_000);
  note('export with receipts, thousand entries/s', proven / 1_000);
  note('cost of one with receipts, as multiple', plain / proven);

  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM logs');
  const first = await append(1_000, 1);
  await append(COMMITS - 2_000, 1);
  const last = await append(1_000, 1);
  await client.query('ROLLBACK');
  note('append beside a new snapshot, p50, ms', first.p50);
  note('append beside one held for all commits, p50, ms', last.p50);
  note('the most memory of the service, MB', (await service.usage()).maxRss / 2 ** 20);
  return figures;
}

/** Milliseconds that the state of the whole service takes to read; it is kept for ten seconds. */
async function freshMetrics(service: BenchChild): Promise<number> {
  await sleep(10_500);
  const began = performance.now();
  await (await fetch(`${service.url}/metrics`)).text();
  return performance.now() - began;
}

/** Asks again and again until told to stop. @returns how often it was answered */
async function repeat(service: BenchChild, path: () => string, signal: AbortSignal, pause = 0): Promise<number> {
  let count = 0;
  while (!signal.aborted) {
    const response = await fetch(service.url + path());
    await response.arrayBuffer();
    if (response.ok) count++;
    if (pause > 0) await sleep(pause);
  }
  return count;
}

async function exportRate(service: BenchChild, receipts: boolean): Promise<number> {
  const count = Math.min(entries, receipts ? 50_000 : 200_000);
  const began = performance.now();
  const response = await fetch(`${service.url}${LOG}/export?to=${count}&receipts=${receipts}`);
  let lines = 0;
  for await (const chunk of response.body ?? []) {
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) lines++;
  }
  if (lines !== count) throw new Error(`${lines} of ${count} lines were exported`);
  return count / ((performance.now() - began) / 1_000);
}
