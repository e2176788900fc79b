#!/usr/bin/env bash
# bullmq 6.7.0 on PostgreSQL: addBulk makes two temporary tables at each call.
#
# They write to the system catalogs (pg_class, pg_attribute, pg_type, pg_index, pg_depend) and go at the end of the
# transaction. One job by addBulk writes some thirty times as much write-ahead log as by add, and the catalogs bloat with
# every call. Needs a PostgreSQL database of its own to write to: DATABASE_URL.
#
# Seen on Node 24 with PostgreSQL 18: bytes of write-ahead log a job: add 894, addBulk 29349
set -euo pipefail
: "${DATABASE_URL:?names the database to write to}"
cd "$(mktemp -d)"
npm init -y >/dev/null
npm pkg set type=module >/dev/null
npm install --silent --no-audit --no-fund bullmq@6.7.0 pg@8.23.1
cat >run.mjs <<'JS'
import { createPostgresBackend, Queue, runMigrations } from 'bullmq';
import pg from 'pg';
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await runMigrations({ query: (sql, values = []) => client.query(sql, [...values]) }, 'bullmq_finding');
const connection = { connectionString: process.env.DATABASE_URL, schema: 'bullmq_finding' };
const queue = new Queue('q', { connection }, createPostgresBackend);
await queue.waitUntilReady();
const at = async () => Number((await client.query(`SELECT pg_current_wal_insert_lsn() - '0/0' AS at`)).rows[0].at);
const JOBS = 100;
const cost = async (add) => {
  await add(`warm-${Math.random()}`);
  const before = await at();
  for (let i = 0; i < JOBS; i++) await add(`${i}-${Math.random()}`);
  return Math.round((await at() - before) / JOBS);
};
const add = await cost((jobId) => queue.add('x', {}, { jobId }));
const bulk = await cost((jobId) => queue.addBulk([{ name: 'x', data: {}, opts: { jobId } }]));
console.log(`bytes of write-ahead log a job: add ${add}, addBulk ${bulk}`);
await client.query('DROP SCHEMA bullmq_finding CASCADE');
process.exit(bulk > 5 * add ? 0 : 1);
JS
node run.mjs || { echo changed; exit 1; }
