// What a PostgreSQL server must be for the service to work on it.

import type pg from 'pg';
import { AntequemError } from '../core/errors.ts';

const OLDEST = 150_000;
/**
 * Whose turn it is to say which session it has. A pooler that gives the last session first gives both the same one;
 * one that gives them in turn gives another one to who asks twice in a row. Strictly by turns, it could give each its own.
 */
const TURNS = ['first', 'second', 'first', 'first', 'second', 'second', 'first'] as const;

/**
 * @param another opens one more connection to the same place
 * @throws AntequemError `database-unsupported` with what is wrong and what to do
 */
export async function demandServer(client: pg.Client, name: string, another: () => Promise<pg.Client>): Promise<void> {
  const { rows } = await client.query<{
    number: number;
    version: string;
    encoding: string;
    pid: number;
    schema: string | null;
  }>(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
            current_setting('server_encoding') AS encoding, pg_backend_pid() AS pid, current_schema() AS schema`,
  );
  const [server] = rows;
  if (server === undefined) throw unsupported(name, 'does not say what it is');
  if (server.number < OLDEST) {
    throw unsupported(name, `is PostgreSQL ${server.version}; this release needs PostgreSQL 15 or newer`);
  }
  if (server.encoding !== 'UTF8') {
    throw unsupported(
      name,
      `is encoded in ${server.encoding}; the service needs UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`,
    );
  }
  if (server.schema === null) {
    throw unsupported(
      name,
      'has no schema for this role: none of its search_path exists; CREATE SCHEMA … AUTHORIZATION …, or ALTER ROLE … SET search_path',
    );
  }
  // A pooler makes up the process id that it gives at the start of a connection.
  if (processIdOf(client) !== server.pid) await demandSession(client, name, another);
}

/** Transactions of one connection must stay in one session: locks, prepared statements and notifications rely on it. */
async function demandSession(client: pg.Client, name: string, another: () => Promise<pg.Client>): Promise<void> {
  const other = await another();
  try {
    const sessions = { first: new Set<number>(), second: new Set<number>() };
    for (const turn of TURNS) sessions[turn].add(await sessionOf(turn === 'first' ? client : other));
    const { first, second } = sessions;
    if (first.size === 1 && second.size === 1 && !second.has([...first][0] ?? 0)) return;
  } finally {
    await other.end().catch(() => {});
  }
  throw unsupported(
    name,
    'is behind a pooler that gives each transaction another session (PgBouncer with pool_mode = transaction or statement); ' +
      'set pool_mode = session for this database, or connect to PostgreSQL itself',
  );
}

async function sessionOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

function processIdOf(client: pg.Client): unknown {
  return 'processID' in client ? client.processID : undefined;
}

function unsupported(name: string, what: string): AntequemError {
  return new AntequemError('database-unsupported', `the database ${name} ${what}`);
}
