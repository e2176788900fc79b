import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { AntequemError } from '../core/errors.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
// Any number will do as long as it stays: the lock under which processes that start together take turns.
const LOCK = 0x616e7465;

/** Brings the database to the newest schema: every numbered file not yet run, in order, each in its transaction. */
export async function migrate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'antequem migrate' });
  // A connection that dies fails the query under way; without a listener it would end the process besides.
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    await client.query(
      'CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, run_at timestamptz NOT NULL DEFAULT now())',
    );
    const done = await client.query<{ name: string }>('SELECT name FROM migrations');
    const names = new Set(done.rows.map((row) => row.name));
    const files = await migrationNames();
    for (const unknown of [...names].filter((name) => !files.includes(name))) {
      throw new AntequemError(
        'schema-newer',
        `the database has migration ${unknown}, which this release does not know: run the release that made it, or a newer one`,
      );
    }
    for (const file of files.filter((name) => !names.has(name))) {
      const sql = await readFile(new URL(file, FOLDER), 'utf8');
      await client.query(`BEGIN; ${sql}; INSERT INTO migrations (name) VALUES ('${file}'); COMMIT`);
    }
  } finally {
    await client.end();
  }
}

/** The migrations that this release has, in order. */
export async function migrationNames(): Promise<readonly string[]> {
  known ??= (await readdir(FOLDER)).filter((file) => file.endsWith('.sql')).sort();
  return known;
}

let known: readonly string[] | null = null;
