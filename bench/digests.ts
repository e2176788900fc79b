// What a look-up in the index of digests costs, with so many made-up digests, before their runs are put together and after;
// and what that costs.
//
//   node bench/digests.ts [--digests 10000000,100000000,1000000000] [--lookups 200]

import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { locateDigest } from '../src/log/digest-index.ts';
import { mergeRuns } from '../src/log/digest-merging.ts';
import { type Database, openDatabase } from '../src/store/database.ts';
import { makeUpDigests } from '../test/support/made-up-digests.ts';
import { machine, median, withDatabase } from './ground.ts';
import { cpuOfFamily } from './processes.ts';

const { values } = parseArgs({
  options: {
    digests: { type: 'string', default: '10000000,100000000,1000000000' },
    lookups: { type: 'string', default: '200' },
  },
});
/** Digests are made up that begin with a byte below this. */
const BUCKETS = 2;
const lookups = Number(values.lookups);

console.log(machine());
for (const digests of values.digests.split(',').map(Number)) await withDatabase((url) => measure(url, digests));

async function measure(url: string, digests: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const database = openDatabase(url, { connections: 1 });
  try {
    await makeUpDigests(client, digests, BUCKETS);
    const before = await lookUp(database);
    const [wal, began] = [await walBytes(database), performance.now()];
    await mergeRuns(database);
    const made = (digests * BUCKETS) / 256;
    const [microseconds, bytes] = [
      (1_000 * (performance.now() - began)) / made,
      ((await walBytes(database)) - wal) / made,
    ];
    await client.query('VACUUM ANALYZE digest_runs, merged_digests');
    const now = await lookUp(database);
    console.log(
      `${digests.toLocaleString('en')} digests: a look-up reads ${before.rows} rows in ${before.p50.toFixed(2)} ms (p50, ` +
        `${before.cpu.toFixed(2)} ms of PostgreSQL's core), then ${now.rows} in ${now.p50.toFixed(2)} ms (${now.cpu.toFixed(2)} ms); putting them together takes ${microseconds.toFixed(1)} µs a digest, ` +
        `half of them pauses, and ${bytes.toFixed(0)} bytes of WAL`,
    );
  } finally {
    await database.end();
    await client.end();
  }
}

/** Of digests that are in no log: milliseconds, of PostgreSQL's core too. */
async function lookUp(database: Database): Promise<{ p50: number; cpu: number; rows: number }> {
  const times: number[] = [];
  const backend = await database.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const cpu = (): number => cpuOfFamily(backend.rows[0]?.pid ?? 0);
  const before = cpu();
  for (let i = 0; i < lookups; i++) {
    const digest = randomBytes(32);
    digest[0] = (digest[0] ?? 0) % BUCKETS;
    const began = performance.now();
    await locateDigest(database, digest, null, 10);
    times.push(performance.now() - began);
  }
  const used = (cpu() - before) / lookups;
  const { rows } = await database.query<{ rows: number }>(
    `SELECT round((SELECT count(*) FROM digest_runs) / ${BUCKETS}.0
       + coalesce((SELECT sum(each) FROM (SELECT count(*)::numeric / (${BUCKETS} * 16 ^ depth::int) AS each
                                          FROM merged_digests GROUP BY depth) AS d), 0))::int AS rows`,
  );
  return {
    p50: median(times),
    cpu: used,
    rows: rows[0]?.rows ?? 0,
  };
}

async function walBytes(database: Database): Promise<number> {
  const { rows } = await database.query<{ bytes: number }>(
    "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS bytes",
  );
  return rows[0]?.bytes ?? 0;
}
