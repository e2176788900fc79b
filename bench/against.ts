// This checkout against another one on one machine: entries a second, bytes on disk and of WAL, receipts, searches, exports,
// audit. Both services run at the same time, each with a database of its own, and take turns: a virtual machine is now faster
// and now slower, for seconds or minutes. Prints each figure and the ratio of the medians, this one to the other.
//
//   node bench/against.ts OLD [--rounds 5] [--entries 200000] [--singles 20000] [--only audit-events,hex,singles]
//
// So many entries are appended in a turn, and two turns before any that counts.

import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type RunningPostgres, startPostgres } from '../scripts/local/postgres.ts';
import { type BenchChild, startChild } from './child.ts';
import { machine, median } from './ground.ts';
import { runLoad } from './load.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    entries: { type: 'string', default: '200000' },
    singles: { type: 'string', default: '20000' },
    only: { type: 'string', default: 'audit-events,hex,singles' },
  },
});
const [other = ''] = positionals;
if (other === '') throw new Error('name the folder of the other checkout');
const folders = [resolve(import.meta.dirname, '..'), resolve(other)];
const BATCH = 1_000;
const BODIES = 64;
const RECEIPTS = 300;
const TURNS_BEFORE = 2;
/** More than a tile has. */
const TURN_STEP = 300;
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

async function bytesOf(client: pg.Client): Promise<{ disk: number; wal: number }> {
  const { rows } = await client.query<{ disk: string; wal: string }>(
    `SELECT (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind = 'r') AS disk, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS wal`,
  );
  return { disk: Number(rows[0]?.disk), wal: Number(rows[0]?.wal) };
}

/** A service under load, with a database of its own. */
interface Subject {
  readonly folder: string;
  readonly server: RunningPostgres;
  readonly client: pg.Client;
  readonly service: BenchChild;
  /** One of each turn. */
  readonly figures: Map<string, number[]>;
  before: { disk: number; wal: number };
}

async function openSubject(folder: string): Promise<Subject> {
  const server = await startPostgres({ dataDir: mkdtempSync(join(tmpdir(), 'antequem-against-')), disposable: true });
  const client = new pg.Client({ connectionString: server.url });
  const service = await startChild(pathToFileURL(join(folder, 'bench/service-process.ts')).href, server.url);
  await client.connect();
  await fetch(`${service.url}/v1/logs/bench`, { method: 'PUT' });
  return { folder, server, client, service, figures: new Map(), before: { disk: 0, wal: 0 } };
}

async function close({ client, service, server }: Subject): Promise<void> {
  await client.end();
  await service[Symbol.asyncDispose]();
  await server.stop();
}

function note({ figures }: Subject, figure: string, value: number): void {
  figures.set(figure, [...(figures.get(figure) ?? []), value]);
}

/** Has both do it as often as there are rounds, each time the other one first. */
async function inTurn(subjects: readonly Subject[], step: (subject: Subject, turn: number) => Promise<void>) {
  for (let turn = 0; turn < Number(values.rounds); turn++) {
    for (const subject of turn % 2 === 0 ? subjects : subjects.toReversed()) await step(subject, turn);
  }
}

async function measure(subjects: readonly Subject[], kind: Payloads, bodies: readonly Buffer[]): Promise<void> {
  const entries = Number(kind.singles ? values.singles : values.entries);
  for (const subject of subjects) {
    for (let turn = 0; turn < TURNS_BEFORE; turn++) await append(subject.service, kind, bodies, entries);
    await subject.client.query('CHECKPOINT');
    subject.before = await bytesOf(subject.client);
  }
  await inTurn(subjects, async (subject) => {
    const { service } = subject;
    const cpu = (await service.usage()).cpu;
    const { seconds, p99 } = await append(service, kind, bodies, entries);
    note(subject, 'entries/s', entries / seconds);
    note(subject, 'p99 ms', p99);
    note(subject, 'service µs an entry', (((await service.usage()).cpu - cpu) * 1_000) / entries);
  });
  const appended = entries * Number(values.rounds);
  for (const subject of subjects) {
    await subject.client.query('CHECKPOINT');
    const after = await bytesOf(subject.client);
    note(subject, 'bytes on disk', (after.disk - subject.before.disk) / appended);
    note(subject, 'bytes of WAL', (after.wal - subject.before.wal) / appended);
  }
  await inTurn(subjects, async (subject, turn) => {
    note(subject, 'receipt p50 ms', await receipts(subject.service, appended, turn));
  });
  if (kind.singles) return;
  // Before the rest, and once: the first to read rows pays for marking them as committed.
  for (const subject of subjects) note(subject, 'audited entries/s', auditRate(subject.folder, subject.server.url));
  const read = Math.min(entries, MOST_READ);
  await inTurn(subjects, (subject, turn) => readAll(subject, turn * read, (turn + 1) * read));
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

/** @param turn each has entries of its own: nothing is remembered */
async function receipts(service: BenchChild, entries: number, turn: number): Promise<number> {
  const latencies: number[] = [];
  for (let i = 0; i < RECEIPTS; i++) {
    const index = Math.floor((entries * ((i * 7_919) % RECEIPTS)) / RECEIPTS) + turn * TURN_STEP;
    const start = performance.now();
    const response = await fetch(`${service.url}/v1/logs/bench/entries/${index}/receipt`);
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`receipt ${index}: ${response.status}`);
    latencies.push(performance.now() - start);
  }
  return median(latencies);
}

/** Searches that find nothing, and an export with receipts: rates, and time of the service's process. */
async function readAll(subject: Subject, begin: number, end: number): Promise<void> {
  const { service } = subject;
  const entries = end - begin;
  const measured = async (what: string, work: () => Promise<void>): Promise<void> => {
    const [start, before] = [performance.now(), (await service.usage()).cpu];
    await work();
    note(subject, `${what}/s`, entries / ((performance.now() - start) / 1_000));
    note(subject, `${what}, service µs`, (((await service.usage()).cpu - before) * 1_000) / entries);
  };
  await measured('searched for text', () => search(service, begin, end, 'text=absent'));
  await measured('searched for a field', () => search(service, begin, end, 'field=%2Fuser%2Fuid%3Dabsent'));
  await measured('exported with receipts', async () => {
    const response = await fetch(`${service.url}/v1/logs/bench/export?from=${begin}&to=${end}`);
    let lines = 0;
    for await (const chunk of response.body ?? []) {
      for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) lines++;
    }
    if (lines !== entries) throw new Error(`${lines} of ${entries} entries were exported`);
  });
}

async function search(service: BenchChild, begin: number, end: number, criterion: string): Promise<void> {
  for (let from = begin; from < end; ) {
    const response = await fetch(`${service.url}/v1/logs/bench/entries?${criterion}&from=${from}`);
    const page: unknown = await response.json();
    if (!response.ok) throw new Error(`search: ${response.status} ${JSON.stringify(page)}`);
    const next = typeof page === 'object' && page !== null && 'next' in page ? Number(page.next) : end;
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
  const subjects: Subject[] = [];
  try {
    for (const folder of folders) subjects.push(await openSubject(folder));
    await measure(subjects, kind, bodies);
  } finally {
    for (const subject of subjects) await close(subject);
  }
  const [ours, theirs] = subjects;
  for (const [figure, turns] of ours?.figures ?? []) {
    const of = theirs?.figures.get(figure) ?? [];
    const shown = (figures: readonly number[]): string => figures.map((value) => value.toPrecision(4)).join(' ');
    console.log(
      `  ${figure.padEnd(34)} ratio ${(median(turns) / median(of)).toFixed(2)}  ${shown(turns)} | ${shown(of)}`,
    );
  }
}
