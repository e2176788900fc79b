import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  /** Also when connections are still open: they are cut. */
  drop(): Promise<void>;
}

/** Runs statements on a connection of their own. */
export async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** @returns the new database's URL: that of the server with another path. */
export async function createDatabase(serverUrl: string, name: string, template = 'template0'): Promise<string> {
  await run(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return serverUrl.replace(/^(\w+:\/\/[^/]*\/)[^?]*/, `$1${name}`);
}

export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await run(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

/** A migrated database of one's own; `empty: true` for one without any table. */
export async function testDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  const { url, template } = inject('postgres');
  const name = `antequem_test_${randomBytes(6).toString('hex')}`;
  const own = await createDatabase(url, name, options.empty === true ? 'template0' : template);
  return { url: own, name, drop: () => dropDatabase(url, name) };
}
