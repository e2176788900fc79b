// What grows with time: reads and appends of a service that has closed a round a minute for a year, beside one that is
// young, in turn. The rounds are made up, and so is most of the digest index; the entries are real. Each figure that has a
// limit is printed with it.
//
//   node bench/year.ts [--rounds 525600] [--entries 3000000] [--digests 100000000] [--snapshot 600] [--mixed 600]
//                      [--service FOLDER] [--built]
//
// A snapshot is held, and reads and appends are mixed, for so many seconds. FOLDER is a checkout, whose service is measured
// instead of this one's. --built: the service that `npm run build` made of it, as the package has it.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type RunningPostgres, startPostgres } from '../scripts/local/postgres.ts';
import { makeUpDigests } from '../test/support/made-up-digests.ts';
import { makeUpAnchors, makeUpRounds } from '../test/support/made-up-rounds.ts';
import { builtService } from './built.ts';
import { type BenchChild, startChild } from './child.ts';
import { machine, median } from './ground.ts';
import { Limits } from './limits.ts';
import { fillLog, type LoadResult, runLoad } from './load.ts';
import { mixedLoad } from './mixed.ts';
import { cpuOfFamily, residentBytes } from './processes.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '525600' },
    entries: { type: 'string', default: '3000000' },
    digests: { type: 'string', default: '100000000' },
    snapshot: { type: 'string', default: '600' },
    mixed: { type: 'string', default: '600' },
    service: { type: 'string', default: resolve(import.meta.dirname, '..') },
    built: { type: 'boolean', default: false },
  },
});
const entries = Number(values.entries);
const LOG = '/v1/logs/year';
const YOUNG_ROUNDS = 100;
/** Made-up digests begin with a byte below this, and those that are looked for. */
const BUCKETS = 8;
/** Young and old are asked so often in turn; of each figure the median counts. */
const TURNS = 5;
const WINDOW_MS = 60_000;
const MB = 2 ** 20;

interface Subject {
  readonly rounds: number;
  readonly server: RunningPostgres;
  readonly client: pg.Client;
  readonly service: BenchChild;
}

const limits = new Limits();
console.log(machine());
console.log(`service of ${values.service}, ${entries.toLocaleString('en')} entries`);
const year = await open(Number(values.rounds), Number(values.digests));
try {
  const young = await open(YOUNG_ROUNDS, 0);
  try {
    await compareReads(young, year);
  } finally {
    await close(young);
  }
  limits.note('resident after that, MB', residentBytes(year.service.pid) / MB);
  for (const step of [lookUpTogether, appendBesideReads, exportWithReceipts, appendBesideSnapshot, mix]) {
    await step(year);
    limits.note('resident after it, MB', residentBytes(year.service.pid) / MB);
  }
} finally {
  await close(year);
}
limits.conclude();

async function open(rounds: number, digests: number): Promise<Subject> {
  const dataDir = mkdtempSync(join(tmpdir(), 'antequem-year-'));
  const server = await startPostgres({ dataDir, disposable: true });
  const client = new pg.Client({ connectionString: server.url });
  const settings = JSON.stringify({ ROLES: 'api,worker', ROUND_INTERVAL: '10s' });
  const source = pathToFileURL(join(values.service, 'bench/service-process.ts')).href;
  const file = values.built ? builtService(values.service) : source;
  const service = await startChild(file, server.url, settings);
  await client.connect();
  const begun = performance.now();
  await makeUpRounds(client, rounds);
  if (digests > 0) await makeUpDigests(client, digests, BUCKETS);
  const subject = { rounds, server, client, service };
  await fill(subject);
  const seconds = (performance.now() - begun) / 1_000;
  console.log(
    `${rounds.toLocaleString('en')} rounds, ${digests.toLocaleString('en')} made-up digests: ${seconds.toFixed(0)} s`,
  );
  return subject;
}

async function close({ server, client, service }: Subject): Promise<void> {
  await client.end();
  await service[Symbol.asyncDispose]();
  await server.stop();
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
async function fill({ service, client, rounds }: Subject): Promise<void> {
  await fetch(service.url + LOG, { method: 'PUT' });
  await fillLog(service.url, LOG, entries, event, 4);
  for (let covered = false; !covered; ) {
    const receipt = await fetch(`${service.url}${LOG}/entries/${entries - 1}/receipt?wait=30&until=round`);
    covered = (await receipt.text()).includes('"round"');
  }
  const { rows } = await client.query<{ last: number }>('SELECT max(number)::int AS last FROM rounds');
  await makeUpAnchors(client, rounds + 1, rows[0]?.last ?? 0);
  await client.query('VACUUM ANALYZE');
  await client.query('CHECKPOINT');
}

function random(): number {
  return Math.floor(Math.random() * entries);
}

/** Of a random entry, in hex. */
function digest(): string {
  for (;;) {
    const found = createHash('sha256').update(event(random())).digest();
    if ((found[0] ?? BUCKETS) < BUCKETS) return found.toString('hex');
  }
}

function read({ service }: Subject, path: () => string, requests: number, connections = 1): Promise<LoadResult> {
  return runLoad({ url: service.url, connections, requests, method: 'GET', path, expect: 200 });
}

function append({ service }: Subject, requests: number, connections: number): Promise<LoadResult> {
  return runLoad({
    url: service.url,
    connections,
    requests,
    method: 'POST',
    path: `${LOG}/entries`,
    body: (i) => Buffer.from(`{"single":${i}}`),
    expect: 201,
  });
}

async function compareReads(young: Subject, old: Subject): Promise<void> {
  const compare = async (path: () => string, requests: number): Promise<{ before: number; now: number }> => {
    const [before, now]: [number[], number[]] = [[], []];
    for (let turn = 0; turn <= TURNS; turn++) {
      // The first turn warms up.
      const [a, b] = [await read(young, path, requests), await read(old, path, requests)];
      if (turn > 0) [before, now].forEach((list, i) => void list.push([a, b][i]?.p50 ?? Number.NaN));
    }
    return { before: median(before), now: median(now) };
  };
  const receipt = await compare(() => `${LOG}/entries/${random()}/receipt`, 300);
  limits.note('receipt of a random entry, young, p50, ms', receipt.before);
  limits.note('receipt of a random entry, a year old, p50, ms', receipt.now);
  limits.atMost('the same, as multiple of the young one', receipt.now / receipt.before, 1.5);
  const place = await compare(() => `/v1/entries?digest=${digest()}`, 100);
  limits.note('digest look-up, young, p50, ms', place.before);
  limits.atMost('digest look-up, a year old, p50, ms', place.now, 10);
  const rounds = await compare(() => '/v1/rounds?limit=1000', 5);
  limits.atMost('rounds?limit=1000, p50, ms', rounds.now, 500);
  const page = await compare(() => '/v1/rounds?limit=60', 21);
  limits.note('rounds?limit=60, p50, ms', page.now);
  limits.note('/metrics read anew, ms', await freshMetrics(old.service));
}

/** Milliseconds that the state of the whole service takes to read; it is kept for ten seconds. */
async function freshMetrics(service: BenchChild): Promise<number> {
  await sleep(10_500);
  const began = performance.now();
  await (await fetch(`${service.url}/metrics`)).text();
  return performance.now() - began;
}

/** Many look-ups at once, while the locks that each holds are counted. */
async function lookUpTogether(subject: Subject): Promise<void> {
  let most = 0;
  let over = false;
  const watched = (async () => {
    while (!over) {
      const { rows } = await subject.client.query<{ locks: number }>(
        `SELECT max(n)::int AS locks FROM (
           SELECT count(*) AS n FROM pg_locks WHERE pid <> pg_backend_pid() AND relation = ANY (
             SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) GROUP BY pid) AS held`,
      );
      most = Math.max(most, rows[0]?.locks ?? 0);
    }
  })();
  const crowd = await read(subject, () => `/v1/entries?digest=${digest()}`, 960, 32);
  over = true;
  await watched;
  limits.atMost('digest look-up, 32 at once, failures of 960', crowd.failures, 0, `p99 ${crowd.p99.toFixed(0)} ms`);
  limits.atMost('locks that one backend held meanwhile', most, 63);
}

/** An append beside 16 searches, an overview page and an audit, against one alone, in turn. */
async function appendBesideReads(subject: Subject): Promise<void> {
  const { service } = subject;
  await append(subject, 1_000, 8);
  const [alone, crowded]: [LoadResult[], LoadResult[]] = [[], []];
  let searches = 0;
  let seconds = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    alone.push(await append(subject, 2_000, 8));
    const over = new AbortController();
    const beside = [
      ...Array.from({ length: 16 }, () =>
        repeat(service, () => `${LOG}/entries?text=absent&from=${random()}`, over.signal),
      ),
      repeat(service, () => '/v1/rounds?limit=60', over.signal, 1_000),
      repeat(service, () => '/v1/logs?limit=500', over.signal, 1_000),
      repeat(service, () => '/readyz', over.signal, 1_000),
    ];
    const audit = startAudit(subject);
    await sleep(2_000);
    const began = await append(subject, 2_000, 8);
    crowded.push(began);
    if (audit.exitCode !== null) console.log(`  the audit had ended before (${audit.exitCode})`);
    audit.kill();
    over.abort();
    searches += (await Promise.all(beside)).slice(0, 16).reduce((sum, count) => sum + count, 0);
    seconds += began.seconds + 2;
  }
  const [p50, p99] = [(r: LoadResult) => r.p50, (r: LoadResult) => r.p99];
  limits.note('append alone, 8 connections, p50, ms', median(alone.map(p50)));
  limits.note('append alone, p99, ms', median(alone.map(p99)));
  limits.note('append beside 16 searches, overview and audit, p50, ms', median(crowded.map(p50)));
  limits.note('append beside them, p99, ms', median(crowded.map(p99)));
  limits.atMost('the same p99, as multiple of that alone', median(crowded.map(p99)) / median(alone.map(p99)), 2);
  limits.note('pages searched meanwhile, a second', searches / seconds);
}

function startAudit({ server }: Subject): ChildProcess {
  return spawn(process.execPath, [join(values.service, 'src/cli/antequem.js'), 'audit'], {
    env: { ...process.env, DATABASE_URL: server.url, ORIGIN: 'bench.local' },
    stdio: 'ignore',
  });
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

async function exportWithReceipts({ service }: Subject): Promise<void> {
  const rate = async (receipts: boolean): Promise<number> => {
    const count = Math.min(entries, receipts ? 50_000 : 200_000);
    const began = performance.now();
    const response = await fetch(`${service.url}${LOG}/export?to=${count}&receipts=${receipts}`);
    let lines = 0;
    for await (const chunk of response.body ?? []) {
      for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) lines++;
    }
    if (lines !== count) throw new Error(`${lines} of ${count} lines were exported`);
    return count / ((performance.now() - began) / 1_000);
  };
  const [plain, proven] = [await rate(false), await rate(true)];
  limits.note('export with receipts, thousand entries/s', proven / 1_000);
  limits.note('its cost as multiple of that without receipts', plain / proven);
}

/** One append after the other while a snapshot is held: what a commit costs in its first minute and in its last. */
async function appendBesideSnapshot(subject: Subject): Promise<void> {
  const { client, service, server } = subject;
  await append(subject, 1_000, 1);
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM logs');
  const windows: { cpu: number; p50: number }[] = [];
  let commits = 0;
  for (const end = performance.now() + Number(values.snapshot) * 1_000; performance.now() < end; ) {
    const cpu = async () => (await service.usage()).cpu + cpuOfFamily(server.pid);
    const [before, began] = [await cpu(), performance.now()];
    const medians: number[] = [];
    let requests = 0;
    while (performance.now() - began < Math.min(WINDOW_MS, (Number(values.snapshot) * 1_000) / 3)) {
      const some = await append(subject, 500, 1);
      medians.push(some.p50);
      requests += some.requests;
    }
    windows.push({ cpu: ((await cpu()) - before) / requests, p50: median(medians) });
    commits += requests;
  }
  await client.query('ROLLBACK');
  const [first, last] = [windows[0], windows.at(-1)];
  if (first === undefined || last === undefined) return;
  console.log(`  a snapshot held for ${values.snapshot} s and ${commits.toLocaleString('en')} commits`);
  limits.note(
    'a commit in its first minute, CPU of service and PostgreSQL, ms',
    first.cpu,
    `p50 ${first.p50.toFixed(2)} ms`,
  );
  limits.note('in its last minute', last.cpu, `p50 ${last.p50.toFixed(2)} ms`);
  limits.atMost('ratio of the two', last.cpu / first.cpu, 1.1);
}

async function mix(subject: Subject): Promise<void> {
  const { resident, requests, failures } = await mixedLoad(
    subject.service,
    '/logs/year',
    entries,
    Number(values.mixed),
    digest,
    event,
  );
  console.log(`  mixed for ${values.mixed} s: ${requests.toLocaleString('en')} requests`);
  console.log(`  resident MB each 30 s: ${resident.map((mb) => mb.toFixed(0)).join(' ')}`);
  const half = resident.slice(Math.floor(resident.length / 2));
  const mean = (some: readonly number[]): number => some.reduce((sum, each) => sum + each, 0) / some.length;
  const quarter = Math.ceil(half.length / 2);
  limits.atMost('mixed reads and appends, failures', failures, 0);
  limits.atMost('resident at most, MB', Math.max(...resident), 400);
  limits.atMost(
    'last quarter as multiple of the third',
    mean(half.slice(quarter)) / mean(half.slice(0, quarter)),
    1.05,
  );
  limits.note('the most since the start, MB', (await subject.service.usage()).maxRss / MB);
}
