// This checkout against another one, in turn on one machine: entries a second, bytes on disk and of WAL, receipts, searches,
// exports, audit.
// Prints each figure and the ratio of the medians, this one to the other.
//
//   node bench/against.ts OLD [--rounds 3] [--entries 400000] [--singles 60000] [--only audit-events,hex,singles]

import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startPostgres } from '../scripts/local/postgres.ts';
import { type BenchChild, startChild } from './child.ts';
import { machine, median } from './ground.ts';
import { runLoad } from './load.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    entries: { type: 'string', default: '400000' },
    singles: { type: 'string', default: '60000' },
    only: { type: 'string', default: 'audit-events,hex,singles' },
  },
});
const [other = ''] = positionals;
if (other === '') throw new Error('name the folder of the other checkout');
const builds = [
  { name: 'this', folder: resolve(import.meta.dirname, '..') },
  { name: 'other', folder: resolve(other) },
];
const BATCH = 1_000;
const BODIES = 64;
const RECEIPTS = 300;
/** Entries that are searched and exported. */
const MOST_READ = 200_000;

interface Payloads {
  readonly lines: (body: number) => Buffer;
  readonly singles: boolean;
}

/** A Kubernetes audit event of some 800 bytes. */
function auditEvent(request: number): string {
  const id = createHash('sha256').update(`request ${request}`).digest('hex');
  const verb = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'][request % 7];
  const name = `web-${request % 50}-${id.slice(40, 45)}`;
  const at = new Date(Date.UTC(2026, 0, 15, 8) + request * 37).toISOString().replace('Z', `${id.charCodeAt(7) + 100}Z`);
  return JSON.stringify({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: `${id.slice(0, 8)}-${id.slice(8, 12)}-4${id.slice(13, 16)}-8${id.slice(17, 20)}-${id.slice(20, 32)}`,
    stage: 'ResponseComplete',
    requestURI: `/api/v1/namespaces/ns-${request % 20}/pods/${name}?timeout=10s&limit=500`,
    verb,
    user: {
      username: `system:serviceaccount:kube-system:controller-${request % 9}`,
      uid: id.slice(32, 40),
      groups: ['system:serviceaccounts', 'system:authenticated'],
    },
    sourceIPs: [`10.1.${request % 200}.${request % 251}`],
    userAgent: 'kube-controller-manager/v1.34.1 (linux/amd64) kubernetes/93248f9/system:serviceaccount:kube-system',
    objectRef: {
      resource: 'pods',
      namespace: `ns-${request % 20}`,
      name,
      apiVersion: 'v1',
      resourceVersion: String(10_000 + request),
    },
    responseStatus: { metadata: {}, code: 200 },
    requestReceivedTimestamp: at,
    stageTimestamp: at,
    annotations: {
      'authorization.k8s.io/decision': 'allow',
      'authorization.k8s.io/reason': 'RBAC: allowed by ClusterRoleBinding',
    },
  });
}

const KINDS: Record<string, Payloads> = {
  'audit-events': {
    singles: false,
    lines: (body) => Buffer.from(Array.from({ length: BATCH }, (_, i) => `${auditEvent(body * BATCH + i)}\n`).join('')),
  },
  hex: {
    singles: false,
    lines: () => Buffer.from(Array.from({ length: BATCH }, () => `${randomBytes(100).toString('hex')}\n`).join('')),
  },
  singles: { singles: true, lines: () => randomBytes(200) },
};

type Figures = Record<string, number>;

async function bytesOf(client: pg.Client): Promise<{ disk: number; wal: number }> {
  const { rows } = await client.query<{ disk: string; wal: string }>(
    `SELECT (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind = 'r') AS disk, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal`,
  );
  return { disk: Number(rows[0]?.disk), wal: Number(rows[0]?.wal) };
}

async function measure(folder: string, kind: Payloads, bodies: readonly Buffer[]): Promise<Figures> {
  const server = await startPostgres({ dataDir: mkdtempSync(join(tmpdir(), 'antequem-against-')), disposable: true });
  const client = new pg.Client({ connectionString: server.url });
  try {
    await client.connect();
    const figures: Figures = {};
    {
      await using service = await startChild(pathToFileURL(join(folder, 'bench/service-process.ts')).href, server.url);
      await fetch(`${service.url}/v1/logs/bench`, { method: 'PUT' });
      await append(service, kind, bodies, kind.singles ? Number(values.singles) : 20 * BATCH);
      await client.query('CHECKPOINT');
      const before = await bytesOf(client);
      const cpu = (await service.usage()).cpu;
      const entries = kind.singles ? Number(values.singles) : Number(values.entries);
      const { seconds, p99 } = await append(service, kind, bodies, entries);
      figures['entries/s'] = entries / seconds;
      figures['p99 ms'] = p99;
      figures['service µs an entry'] = (((await service.usage()).cpu - cpu) * 1_000) / entries;
      await client.query('CHECKPOINT');
      const after = await bytesOf(client);
      figures['bytes on disk'] = (after.disk - before.disk) / entries;
      figures['bytes of WAL'] = (after.wal - before.wal) / entries;
      figures['receipt p50 ms'] = await receipts(service, entries);
      if (!kind.singles) {
        // Before the rest: the first to read rows pays for marking them as committed.
        figures['audited entries/s'] = auditRate(folder, server.url);
        await readAll(service, Math.min(entries, MOST_READ), figures);
      }
    }
    return figures;
  } finally {
    await client.end();
    await server.stop();
  }
}

function append(service: BenchChild, kind: Payloads, bodies: readonly Buffer[], entries: number) {
  return runLoad({
    url: service.url,
    connections: kind.singles ? 64 : 4,
    requests: kind.singles ? entries : entries / BATCH,
    method: 'POST',
    path: '/v1/logs/bench/entries',
    headers: kind.singles ? {} : { 'content-type': 'application/x-ndjson' },
    body: (i) => bodies[i % bodies.length] ?? Buffer.alloc(0),
    expect: 201,
  });
}

async function receipts(service: BenchChild, entries: number): Promise<number> {
  const latencies: number[] = [];
  for (let i = 0; i < RECEIPTS; i++) {
    const index = Math.floor((entries * ((i * 7_919) % RECEIPTS)) / RECEIPTS);
    const start = performance.now();
    const response = await fetch(`${service.url}/v1/logs/bench/entries/${index}/receipt`);
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`receipt ${index}: ${response.status}`);
    latencies.push(performance.now() - start);
  }
  return median(latencies);
}

/** Searches that find nothing, and an export with receipts: rates, and time of the service's process. */
async function readAll(service: BenchChild, entries: number, figures: Figures): Promise<void> {
  const measured = async (what: string, work: () => Promise<void>): Promise<void> => {
    const [start, before] = [performance.now(), (await service.usage()).cpu];
    await work();
    figures[`${what}/s`] = entries / ((performance.now() - start) / 1_000);
    figures[`${what}, service µs`] = (((await service.usage()).cpu - before) * 1_000) / entries;
  };
  await measured('searched for text', () => search(service, entries, 'text=absent'));
  await measured('searched for a field', () => search(service, entries, 'field=%2Fuser%2Fuid%3Dabsent'));
  await measured('exported with receipts', async () => {
    const response = await fetch(`${service.url}/v1/logs/bench/export?to=${entries}`);
    let lines = 0;
    for await (const chunk of response.body ?? []) {
      for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) lines++;
    }
    if (lines !== entries) throw new Error(`${lines} of ${entries} entries were exported`);
  });
}

async function search(service: BenchChild, entries: number, criterion: string): Promise<void> {
  for (let from = 0; from < entries; ) {
    const response = await fetch(`${service.url}/v1/logs/bench/entries?${criterion}&from=${from}`);
    const page: unknown = await response.json();
    if (!response.ok) throw new Error(`search: ${response.status} ${JSON.stringify(page)}`);
    const next = typeof page === 'object' && page !== null && 'next' in page ? Number(page.next) : entries;
    from = next;
  }
}

function auditRate(folder: string, url: string): number {
  const seed = join(mkdtempSync(join(tmpdir(), 'antequem-against-')), 'seed');
  writeFileSync(seed, '5e'.repeat(32), { mode: 0o600 });
  const env = { ...process.env, DATABASE_URL: url, ORIGIN: 'bench.local', LOG_SEED_FILE: seed };
  const ran = spawnSync(process.execPath, [join(folder, 'src/cli/antequem.js'), 'audit'], { env, encoding: 'utf8' });
  const rate = /([\d,]+) entries\/s/.exec(ran.stderr + ran.stdout)?.[1];
  if (rate === undefined) throw new Error(`no rate in ${ran.stdout}${ran.stderr}`);
  return Number(rate.replaceAll(',', ''));
}

console.log(machine());
for (const [name, kind] of Object.entries(KINDS)) {
  if (!values.only.split(',').includes(name)) continue;
  const bodies = Array.from({ length: kind.singles ? 1_000 : BODIES }, (_, i) => kind.lines(i));
  const size = bodies.reduce((sum, body) => sum + body.length, 0) / bodies.length / (kind.singles ? 1 : BATCH);
  console.log(
    `\n${name}: ${kind.singles ? 'single entries, 64 connections' : 'batches of 1,000, 4 connections'}, ${Math.round(size)} bytes`,
  );
  const runs = new Map<string, Figures[]>(builds.map((build) => [build.name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const build of round % 2 === 0 ? builds : builds.toReversed()) {
      const figures = await measure(build.folder, kind, bodies);
      runs.get(build.name)?.push(figures);
      console.log(
        `  ${build.name.padEnd(6)} ${JSON.stringify(figures, (_, value) => (typeof value === 'number' ? Math.round(value * 100) / 100 : value))}`,
      );
    }
  }
  for (const figure of Object.keys(runs.get('this')?.[0] ?? {})) {
    const [ours, theirs] = builds.map((build) =>
      median((runs.get(build.name) ?? []).map((each) => each[figure] ?? Number.NaN)),
    );
    const ratio = (ours ?? Number.NaN) / (theirs ?? Number.NaN);
    console.log(
      `  ${figure.padEnd(22)} ${(ours ?? 0).toFixed(2).padStart(12)} ${(theirs ?? 0).toFixed(2).padStart(12)}  ratio ${ratio.toFixed(2)}`,
    );
  }
}
