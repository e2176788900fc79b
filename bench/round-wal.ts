// What a round writes to the write-ahead log of a whole service, which anchors it to a local chain, and by what the database
// grows: by table and in all.
//
//   node bench/round-wal.ts [--rounds 600] [--warm 100] [--interval 500] [--service FOLDER]
//
// FOLDER is a checkout, whose build is measured instead of this one's. A round is closed every so many milliseconds. Two logs
// grow all the time, by two entries each in a round. What those entries take is no cost of the round: it is told apart, as their
// share of what the tables of entries take; one entry more a round is that of `_system`. So is the queue, which grows no further
// after a while.
// Much of what is written waits for something to be put together or vacuumed: sizes are read after a VACUUM, and rounds before
// the first of them (`--warm`) and fewer than some hundred show what waits, not what stays.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Wallet } from 'ethers';
import pg from 'pg';
import { z } from 'zod';
import { LOCAL_CHAIN_KEY, startChain } from '../scripts/local/chain.ts';
import { startPostgres } from '../scripts/local/postgres.ts';
import { deployAnchor } from '../src/evm/deploy.ts';
import { openProvider } from '../test/support/chain.ts';
import { machine } from './ground.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '600' },
    warm: { type: 'string', default: '100' },
    interval: { type: 'string', default: '500' },
    service: { type: 'string', default: resolve(import.meta.dirname, '..') },
  },
});
type Children = typeof import('./child.ts');
const { startChild }: Children = await import(pathToFileURL(join(values.service, 'bench/child.ts')).href);
const LOGS = ['one', 'two'];
const ENTRY_TABLES = ['blocks', 'tiles', 'log_heads', 'digest_batches', 'digest_runs'].map((name) => `public.${name}`);
const interval = Number(values.interval);
const newestForm = z.object({ rounds: z.array(z.object({ number: z.number() })) });

console.log(machine());
console.log(`build of ${values.service}`);
const folder = mkdtempSync(join(tmpdir(), 'antequem-round-wal-'));
const server = await startPostgres({ dataDir: join(folder, 'data'), disposable: true });
const client = new pg.Client({ connectionString: server.url });
const chain = await startChain();
const provider = openProvider(chain.url);
try {
  await client.connect();
  await client.query('CREATE EXTENSION pg_walinspect');
  await deployAnchor({ provider, signer: new Wallet(LOCAL_CHAIN_KEY, provider), dryRun: false });
  writeFileSync(join(folder, 'key'), LOCAL_CHAIN_KEY, { mode: 0o600 });
  const settings = {
    ROLES: 'api,worker',
    ROUND_INTERVAL: `${interval}ms`,
    EVM_RPC_URLS: chain.url,
    EVM_CHAIN_ID: '31337',
    EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
  };
  await using service = await startChild('./service-process.ts', server.url, JSON.stringify(settings));
  await measure(service.url);
} finally {
  provider.destroy();
  await chain.stop();
  await client.end();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function measure(url: string): Promise<void> {
  const growUntil = async (round: number): Promise<void> => {
    for (; (await newest()) < round; await sleep(0.45 * interval)) {
      for (const log of LOGS)
        await fetch(`${url}/v1/logs/${log}/entries`, { method: 'POST', body: `${Math.random()}` });
    }
  };
  const newest = async (): Promise<number> =>
    newestForm.parse(await (await fetch(`${url}/v1/rounds`)).json()).rounds[0]?.number ?? 0;
  for (const log of LOGS) await fetch(`${url}/v1/logs/${log}`, { method: 'PUT' });
  await growUntil(Math.max(4, Number(values.warm)));
  const before = { sizes: await sizes(), entries: await entries(), round: await newest(), lsn: await position() };
  await growUntil(before.round + Number(values.rounds));
  const rounds = (await newest()) - before.round;
  const { rows } = await client.query<Measured>(
    `WITH blocks AS (
       SELECT start_lsn, string_agg(DISTINCT coalesce(coalesce(t.relnamespace, c.relnamespace)::regnamespace || '.'
                || coalesce(t.relname, c.relname), 'gone'), ' ') AS name
       FROM pg_get_wal_block_info($1, $2) b LEFT JOIN pg_class c ON c.relfilenode = b.relfilenode
       LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid GROUP BY 1)
     SELECT coalesce(name, resource_manager) AS name, sum(record_length)::float8 AS bytes
     FROM pg_get_wal_records_info($1, $2) LEFT JOIN blocks USING (start_lsn) GROUP BY 1`,
    [before.lsn, await position()],
  );
  const after = { sizes: await sizes(), entries: await entries() };
  const added = after.entries.all - before.entries.all;
  const share = (after.entries.appended - before.entries.appended) / added;
  const grown = [...after.sizes].map(([name, bytes]) => ({ name, bytes: bytes - (before.sizes.get(name) ?? 0) }));
  console.log(
    `entries a round: ${(added / rounds).toFixed(2)}, ${(share * 100).toFixed(0)} % of them appended by the bench`,
  );
  tell('write-ahead log', rows);
  tell('database', grown);

  function tell(what: string, list: readonly Measured[]): void {
    const sum = (of: (one: Measured) => number): string =>
      (list.reduce((bytes, one) => bytes + of(one), 0) / rounds).toFixed(0);
    const appended = ({ name, bytes }: Measured): number => (ENTRY_TABLES.includes(name) ? bytes * share : 0);
    const queue = ({ name, bytes }: Measured): number => (name.startsWith('antequem_') ? bytes : 0);
    console.log(`${rounds} rounds, bytes of the ${what} a round: ${sum(({ bytes }) => bytes)}`);
    console.log(`  of the entries that were appended ${sum(appended)}, of the queue ${sum(queue)}`);
    console.log(`  without these: ${sum((one) => one.bytes - appended(one) - queue(one))}`);
    for (const one of list.toSorted((a, b) => b.bytes - a.bytes).slice(0, 30)) {
      console.log(`  ${(one.bytes / rounds).toFixed(0).padStart(7)}  ${one.name}`);
    }
  }
}

interface Measured {
  readonly name: string;
  readonly bytes: number;
}

/** Bytes of each table with its indexes, and of all catalogs together. */
async function sizes(): Promise<Map<string, number>> {
  await client.query('VACUUM');
  const { rows } = await client.query<Measured>(
    `SELECT CASE WHEN n.nspname = 'pg_catalog' THEN 'catalogs' ELSE n.nspname || '.' || c.relname END AS name,
            sum(pg_total_relation_size(c.oid))::float8 AS bytes
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_t%' AND n.nspname <> 'information_schema' GROUP BY 1`,
  );
  return new Map(rows.map(({ name, bytes }) => [name, bytes]));
}

async function entries(): Promise<{ readonly appended: number; readonly all: number }> {
  const { rows } = await client.query<{ appended: number; all: number }>(
    `SELECT sum(size) FILTER (WHERE name <> '_system')::float8 AS appended, sum(size)::float8 AS all FROM log_states`,
  );
  return rows[0] ?? { appended: 0, all: 0 };
}

async function position(): Promise<string> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  return rows[0]?.lsn ?? '0/0';
}
