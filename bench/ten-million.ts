// A log of ten million entries: where a digest was logged, of random entries, of the newest, and of none; and what
// `antequem erase --scrub` takes there, with single appends beside it.
//
//   node bench/ten-million.ts [--entries 10000000] [--lookups 2000]

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type BenchChild, startChild } from './child.ts';
import { machine, perSecond, withDatabase } from './ground.ts';
import { Limits } from './limits.ts';
import { fillLog, type LoadResult, runLoad } from './load.ts';
import { cpuOfFamily } from './processes.ts';

const { values } = parseArgs({
  options: { entries: { type: 'string', default: '10000000' }, lookups: { type: 'string', default: '2000' } },
});
const entries = Number(values.entries);
const LOG = '/v1/logs/bench';
const LIMIT_MS = 20;
const NEWEST = 1_000;
const SINGLES_AT_ONCE = 200;

/** 200 bytes that do not compress much. */
function payload(i: number): string {
  const block = (k: number): string => createHash('sha256').update(`${i} ${k}`).digest('hex');
  return (block(0) + block(1) + block(2) + block(3)).slice(0, 200);
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const limits = new Limits();

console.log(machine());
await withDatabase(async (database) => {
  await using service = await startChild('./service-process.ts', database);
  await fetch(service.url + LOG, { method: 'PUT' });
  const seconds = await fillLog(service.url, LOG, entries, payload, 2);
  console.log(`${entries.toLocaleString('en')} entries, ${perSecond(entries / seconds).trim()} with making them up`);
  await lookUp(service);
  await scrub(service, database);
});
limits.conclude();

async function lookUp({ url }: BenchChild): Promise<void> {
  const kinds: Record<string, () => string> = {
    'random entry': () => digestOf(payload(Math.floor(Math.random() * entries))),
    'one of the newest thousand': () => digestOf(payload(entries - 1 - Math.floor(Math.random() * NEWEST))),
    'in no log': () => digestOf(`absent ${Math.random()}`),
  };
  for (const [what, digest] of Object.entries(kinds)) {
    const look = (requests: number): Promise<LoadResult> =>
      runLoad({
        url,
        connections: 1,
        requests,
        method: 'GET',
        path: () => `/v1/entries?digest=${digest()}`,
        expect: 200,
      });
    await look(100);
    const { p50, p99, failures } = await look(Number(values.lookups));
    if (failures > 0) throw new Error(`${failures} look-ups failed`);
    limits.atMost(`digest of ${what}, p99, ms`, p99, LIMIT_MS, `p50 ${p50.toFixed(2)} ms`);
  }
  const answer = await fetch(`${url}/v1/entries?digest=${digestOf(payload(entries - 1))}`);
  if (!(await answer.text()).includes(`"index":${entries - 1}`)) throw new Error('the newest entry was not found');
}

async function scrub(service: BenchChild, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  const size = async (): Promise<{ table: number; files: number }> => {
    const { rows } = await client.query<{ table: string; files: string }>(
      "SELECT pg_total_relation_size('blocks') AS table, pg_database_size(current_database()) AS files",
    );
    return { table: Number(rows[0]?.table) / 2 ** 20, files: Number(rows[0]?.files) / 2 ** 20 };
  };
  const append = (): Promise<LoadResult> =>
    runLoad({
      url: service.url,
      connections: 1,
      requests: SINGLES_AT_ONCE,
      method: 'POST',
      path: `${LOG}/entries`,
      body: (i) => Buffer.from(`single ${i}`),
      expect: 201,
    });
  await append();
  const alone = await append();
  const before = await size();
  const begun = performance.now();
  const child = spawn(process.execPath, [join(import.meta.dirname, '../src/cli/antequem.js'), 'erase', '--scrub'], {
    env: { ...process.env, DATABASE_URL: database },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  let cpu = 0;
  const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  const beside: LoadResult[] = [];
  while (child.exitCode === null) {
    beside.push(await append());
    if (child.exitCode === null && child.pid !== undefined) cpu = cpuOfFamily(child.pid);
  }
  if ((await ended) !== 0) throw new Error('the scrub failed');
  const seconds = (performance.now() - begun) / 1_000;
  const after = await size();
  limits.note(
    'scrub, s',
    seconds,
    `${perSecond(entries / seconds).trim()} entries, ${(cpu / 1_000).toFixed(1)} s of CPU in the command`,
  );
  limits.note('the table before, MB', before.table, `after ${after.table.toFixed(0)} MB`);
  const slowest = (results: readonly LoadResult[]): number => Math.max(...results.map(({ p99 }) => p99));
  const middle = beside[Math.floor(beside.length / 2)] ?? alone;
  limits.note('single appends beside it, p50, ms', middle.p50, `alone ${alone.p50.toFixed(2)} ms`);
  limits.note('the slowest p99 of 200 of them, ms', slowest(beside), `alone ${alone.p99.toFixed(2)} ms`);
  await client.end();
}
