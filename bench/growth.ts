// What a round costs, and a log that grows in it: bytes of database and of write-ahead log, and time.
//
//   node bench/growth.ts [--logs 1000] [--rounds 1000] [--few 2] [--service FOLDER]
//
// FOLDER is a checkout, whose build is measured instead of this one's. Appends are not counted: figures are taken around
// the closing of each round. A round costs what one over few logs takes, without its logs.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startPostgres } from '../scripts/local/postgres.ts';
import type { Log } from '../src/log/log.ts';
import { machine } from './ground.ts';

const { values } = parseArgs({
  options: {
    logs: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '1000' },
    few: { type: 'string', default: '2' },
    service: { type: 'string', default: resolve(import.meta.dirname, '..') },
  },
});
const logs = Number(values.logs);
const few = Number(values.few);
const rounds = Number(values.rounds);
/** Rounds between two lines of output. */
const EVERY = 100;

type Instances = typeof import('../test/support/instance.ts');
type Migrations = typeof import('../src/store/migrate.ts');

const load = <T>(path: string): Promise<T> => import(pathToFileURL(join(values.service, path)).href);
const [{ openInstance, drafts }, { migrate }] = await Promise.all([
  load<Instances>('test/support/instance.ts'),
  load<Migrations>('src/store/migrate.ts'),
]);

interface Cost {
  /** Bytes a round. */
  readonly database: number;
  readonly wal: number;
  /** Milliseconds a round. */
  readonly wall: number;
  readonly cpu: number;
}

console.log(machine());
console.log(`build of ${values.service}`);
const small = await measure(few);
const large = await measure(logs);
const perLog = (of: (cost: Cost) => number): number => (of(large) - of(small)) / (logs - few);
console.log('\n                          database bytes    WAL bytes   closing, ms    CPU, ms');
line('a log in a round', {
  database: perLog((c) => c.database),
  wal: perLog((c) => c.wal),
  wall: perLog((c) => c.wall),
  cpu: perLog((c) => c.cpu),
});
line(`a round with ${few} logs`, small);
line(`a round with ${logs} logs`, large);

function line(what: string, { database, wal, wall, cpu }: Cost): void {
  const figures = [
    database.toFixed(0).padStart(14),
    wal.toFixed(0).padStart(13),
    wall.toFixed(3).padStart(14),
    cpu.toFixed(3).padStart(11),
  ];
  console.log(`${what.padEnd(26)}${figures.join('')}`);
}

async function measure(count: number): Promise<Cost> {
  const server = await startPostgres({ dataDir: mkdtempSync(join(tmpdir(), 'antequem-growth-')), disposable: true });
  const client = new pg.Client({ connectionString: server.url });
  try {
    await migrate(server.url);
    await client.connect();
    const instance = await openInstance(server.url);
    const made: Log[] = [];
    for (let i = 0; i < count; i++) made.push(await instance.makeLog(`log-${String(i).padStart(6, '0')}`));
    const grow = async (): Promise<void> => {
      for (let at = 0; at < made.length; at += 64) {
        const some = made.slice(at, at + 64);
        await Promise.all(
          some.map((log) => instance.appender.append(log, { drafts: drafts(1, log.name), idempotency: null })),
        );
      }
    };
    const began = performance.now();
    const sum = { wal: 0, wall: 0, cpu: 0 };
    const sizeBefore = await sizeOfRounds(client);
    for (let round = 1; round <= rounds; round++) {
      await grow();
      const [lsn, wall, cpu] = [await walPosition(client), performance.now(), process.cpuUsage()];
      await instance.closeRound();
      sum.wall += performance.now() - wall;
      const used = process.cpuUsage(cpu);
      sum.cpu += (used.user + used.system) / 1_000;
      sum.wal += await walSince(client, lsn);
      if (round % EVERY === 0)
        console.log(
          `  ${count} logs: ${round} rounds, ${((performance.now() - began) / 1_000).toFixed(0)} s, WAL of closing ${(sum.wal / round).toFixed(0)} a round`,
        );
    }
    const database = (await sizeOfRounds(client)) - sizeBefore;
    await instance.end();
    return { database: database / rounds, wal: sum.wal / rounds, wall: sum.wall / rounds, cpu: sum.cpu / rounds };
  } finally {
    await client.end();
    await server.stop();
  }
}

/** Bytes of what rounds are stored in, with indexes. */
async function sizeOfRounds(client: pg.Client): Promise<number> {
  await client.query('VACUUM');
  const { rows } = await client.query<{ bytes: string }>(
    `SELECT sum(pg_total_relation_size(oid))::text AS bytes FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
     AND relname IN ('rounds', 'round_leaves', 'round_heads', 'checkpoints', 'packed_leaves', 'round_logs', 'leaf_marks')`,
  );
  return Number(rows[0]?.bytes ?? 0);
}

async function walPosition(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return rows[0]?.lsn ?? '0/0';
}

async function walSince(client: pg.Client, lsn: string): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    'SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn)::text AS bytes',
    [lsn],
  );
  return Number(rows[0]?.bytes ?? 0);
}
