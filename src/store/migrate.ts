import { readdir, readFile } from 'node:fs/promises';
import type pg from 'pg';
import { AntequemError } from '../core/errors.ts';
import { addressOf, isReadOnly, openClient } from './address.ts';
import { demandServer } from './server.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
/** Milliseconds that a migration waits for another process, or for a transaction that uses what it changes. */
const LOCK_PATIENCE_MS = 60_000;
const NAME = 'antequem migrate';

/**
 * Brings the database to the newest schema: every numbered file not yet run, in order, each in its transaction. Where all
 * have run it takes no lock.
 * @param patience milliseconds that a lock is waited for
 * @throws AntequemError `database-unavailable`, `database-unsupported`, `schema-newer`, `migration-locked`
 */
export async function migrate(url: string, patience = LOCK_PATIENCE_MS): Promise<void> {
  const { name } = addressOf(url);
  const client = await openClient(url, { application_name: NAME });
  try {
    await demandServer(client, name, () => openClient(url, { application_name: NAME, query_timeout: 10_000 }));
    const missing = await missingMigrations(client);
    if (missing.length > 0) await runAll(client, name, patience);
  } finally {
    await client.end();
  }
}

async function runAll(client: pg.Client, name: string, patience: number): Promise<void> {
  await locked(client, name, patience, async () => {
    await client.query(
      'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, run_at timestamptz NOT NULL DEFAULT now())',
    );
  });
  for (let more = true; more; ) {
    await locked(client, name, patience, async () => {
      // Another process may have run some since.
      const [next] = await missingMigrations(client);
      more = next !== undefined;
      if (next === undefined) return;
      await client.query(await readFile(new URL(next, FOLDER), 'utf8'));
      await client.query('INSERT INTO migrations (name) VALUES ($1)', [next]);
    });
  }
}

/** A transaction under the lock by which processes that start together take turns. It ends with the transaction. */
async function locked(client: pg.Client, name: string, patience: number, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL lock_timeout = ${patience}`);
    await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('antequem migrate ' || current_schema(), 0))`);
    await work();
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    if (isReadOnly(error)) {
      throw new AntequemError(
        'database-read-only',
        `the database ${name} takes no writes, so it cannot be brought up to date`,
      );
    }
    if (error instanceof Error && 'code' in error && error.code === '55P03') {
      throw new AntequemError(
        'migration-locked',
        `the database ${name} cannot be brought up to date: for ${patience / 1_000} s another session has held a lock ` +
          '(a process that migrates it, or a long transaction; see pg_locks and pg_stat_activity). Start again once that is over',
      );
    }
    throw error;
  }
}

/** In order. @throws AntequemError `schema-newer` */
async function missingMigrations(client: pg.Client): Promise<string[]> {
  // In the role's own schema: another service may have the one behind it on the search path.
  const { rows: tables } = await client.query(
    `SELECT 1 WHERE to_regclass(quote_ident(current_schema()) || '.migrations') IS NOT NULL`,
  );
  const files = await migrationNames();
  if (tables.length === 0) return [...files];
  const { rows } = await client.query<{ name: string }>('SELECT name FROM migrations');
  const names = new Set(rows.map((row) => row.name));
  for (const unknown of [...names].filter((name) => !files.includes(name))) {
    throw new AntequemError(
      'schema-newer',
      `the database has migration ${unknown}, which this release does not know: run the release that made it, or a newer one`,
    );
  }
  return files.filter((name) => !names.has(name));
}

/** The migrations that this release has, in order. */
export async function migrationNames(): Promise<readonly string[]> {
  known ??= (await readdir(FOLDER)).filter((file) => file.endsWith('.sql')).sort();
  return known;
}

let known: readonly string[] | null = null;
