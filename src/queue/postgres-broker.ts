// BullMQ on PostgreSQL, in a schema of its own.

import { setTimeout as sleep } from 'node:timers/promises';
import {
  Queue as BullQueue,
  createPostgresBackend,
  type PostgresConnectionOptions,
  type PostgresQueueBackend,
  runMigrations,
  type Worker,
} from 'bullmq';
import type pg from 'pg';
import { AntequemError } from '../core/errors.ts';
import { addressOf, HostClient, openClient } from '../store/address.ts';
import {
  type AnyQueue,
  type Broker,
  handle,
  type LaneConsumer,
  type LaneProducer,
  type OnError,
  PatientWorker,
  type Producing,
  producer,
  queueOptions,
  RETRY_MS,
  workerOptions,
} from './broker.ts';

/** The schema of all services in releases before. */
const FORMER_SCHEMA = 'antequem_queue';
/** Milliseconds that processes which work already may hold up the change of a table. */
const LOCK_PATIENCE_MS = 2_000;

/**
 * Makes the schema if need be: one with the name of the service, or the role's own where it may make none.
 * @param name what the service calls its own
 * @throws AntequemError `database-unavailable`, `queue-schema`; what PostgreSQL says where it does not allow that
 */
export async function postgresBroker(url: string, name: string, onError: OnError): Promise<Broker> {
  const schema = await prepareSchema(url, name.replace('-', '_'));
  const connection = (max: number, of = schema) => ({
    ...connectionTo(url, of),
    schema: of,
    max,
    application_name: 'antequem queue',
  });
  const produce = (lane: string, of = schema): LaneProducer =>
    producer(
      renewed(() => new BullQueue(lane, { connection: connection(2, of), ...queueOptions() }, guardedBackend), onError),
    );
  return {
    check: async () => ({ problem: null, notices: [] }),
    produce: (lane) => produce(lane),
    consume: (lane, handler, concurrency) =>
      persistent(
        () =>
          new PatientWorker<PostgresQueueBackend, PostgresConnectionOptions>(
            lane,
            (job, token) => handle(job, token, handler, onError),
            { connection: connection(4), ...workerOptions(concurrency), autorun: false },
            guardedBackend,
          ),
        onError,
      ),
    former: async (lane) => ((await hasSchema(url, FORMER_SCHEMA)) ? produce(lane, FORMER_SCHEMA) : null),
    retire: () => {},
    close: async () => {},
  };
}

/** The library asks for its search path at the start of a connection, which poolers refuse: it is set afterwards. */
function connectionTo(url: string, schema: string): Exclude<PostgresConnectionOptions, string> {
  const { config, count } = addressOf(url);
  if (count > 1) {
    return {
      ...Object.fromEntries(Object.entries(config)),
      onConnect: (client: unknown) => {
        if (client instanceof HostClient) client.demandWritable();
      },
      Client: HostClient,
    };
  }
  return {
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    // Of two settings that of the string counts, and an empty one is not sent.
    connectionString: `${url}${url.includes('?') ? '&' : '?'}options=`,
    onConnect: (client: { query: (sql: string) => Promise<unknown> }) => client.query(`SET search_path TO "${schema}"`),
  };
}

const SCHEMA_NAME = /^[A-Za-z_][A-Za-z0-9_$]*$/;

/** Brings the queue's tables up to date. @returns the schema they are in */
async function prepareSchema(url: string, wanted: string): Promise<string> {
  const client = await openClient(url, { application_name: 'antequem queue' });
  try {
    const { rows } = await client.query<{ exists: boolean; may: boolean; own: string | null }>(
      `SELECT to_regnamespace($1) IS NOT NULL AS exists, has_database_privilege(current_database(), 'CREATE') AS may,
              current_schema() AS own`,
      [wanted],
    );
    const { exists = false, may = false, own = null } = rows[0] ?? {};
    const schema = exists || may ? wanted : (own ?? '');
    if (!SCHEMA_NAME.test(schema)) {
      throw new AntequemError(
        'queue-schema',
        `the queue needs a schema: CREATE SCHEMA ${wanted} AUTHORIZATION the role of DATABASE_URL, or set REDIS_URL`,
      );
    }
    await runMigrations(
      {
        // To make a schema that is there asks for a right that a role of one schema does not have.
        query: <R>(sql: string, values: readonly unknown[] = []) =>
          client.query<R & pg.QueryResultRow>(/^CREATE SCHEMA/.test(sql) && !may ? 'SELECT 1' : sql, [...values]),
      },
      schema,
    );
    await spareLog(client, schema);
    return schema;
  } finally {
    await client.end();
  }
}

/**
 * The library's tables of jobs, those before that refer to others. Settings of its queues and its migrations stay as they are.
 * A table that a later version adds and that refers to one of these must come first here.
 */
const JOB_TABLES = ['job_log', 'job_dependency', 'job', 'event', 'scheduler'];

/**
 * Keeps jobs out of the write-ahead log, where they were more than half of what a round takes. PostgreSQL empties these
 * tables after a crash, and a server that was promoted has them empty: a queue that lost everything is filled again.
 */
async function spareLog(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = to_regnamespace(quote_ident($1)) AND relname = ANY ($2) AND relpersistence = 'p'
       AND pg_has_role(relowner, 'USAGE') ORDER BY array_position($2, relname::text)`,
    [schema, JOB_TABLES],
  );
  if (rows.length === 0) return;
  const changes = rows.map(({ name }) => `ALTER TABLE "${schema}"."${name}" SET UNLOGGED;`);
  try {
    await client.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_PATIENCE_MS}; ${changes.join(' ')} COMMIT`);
  } catch (error) {
    await client.query('ROLLBACK');
    // Another process works with them, or makes the same change: the next one to start tries again.
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code !== '55P03' && code !== '40P01') throw error;
  }
}

async function hasSchema(url: string, schema: string): Promise<boolean> {
  const client = await openClient(url, { application_name: 'antequem queue' });
  try {
    const { rows } = await client.query<{ usable: boolean | null }>(
      `SELECT has_schema_privilege(oid, 'USAGE') AS usable FROM pg_namespace WHERE nspname = $1`,
      [schema],
    );
    return rows[0]?.usable === true;
  } finally {
    await client.end();
  }
}

type AnyWorker = Pick<Worker, 'waitUntilReady' | 'run' | 'pause' | 'resume' | 'close'> & Listening;

interface Listening {
  on(event: 'error', listener: OnError): unknown;
}

/** A connection that dies at an unlucky moment would end the process: each has a listener from its birth. */
const guardedBackend: typeof createPostgresBackend = (name, options, factory) => {
  const backend = createPostgresBackend(name, options, factory);
  backend.connection.pool.on('connect', (client) => client.on('error', () => {}));
  return backend;
};

// BullMQ on PostgreSQL remembers for ever that it could not connect at first: what failed so is made anew.

/** A queue that is made when first needed, and again where it did not get ready. */
function renewed(open: () => AnyQueue & Listening, onError: OnError): Producing {
  let opening: Promise<AnyQueue> | null = null;
  const start = async (): Promise<AnyQueue> => {
    const queue = open();
    queue.on('error', onError);
    try {
      await queue.waitUntilReady();
      return queue;
    } catch (error) {
      opening = null;
      await queue.close().catch(() => {});
      throw error;
    }
  };
  return {
    use: () => {
      opening ??= start();
      return opening;
    },
    close: async () => (await opening?.catch(() => null))?.close(),
  };
}

/** A worker that begins once it is ready, tried until it is. */
function persistent(open: () => AnyWorker, onError: OnError): LaneConsumer {
  const closing = new AbortController();
  const begin = async (): Promise<AnyWorker | null> => {
    while (!closing.signal.aborted) {
      const worker = open();
      worker.on('error', onError);
      try {
        await worker.waitUntilReady();
        worker.run().catch(onError);
        return worker;
      } catch {
        await worker.close().catch(() => {});
        await sleep(RETRY_MS, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
    return null;
  };
  const begun = begin();
  return {
    pause: async (paused) => {
      const worker = await begun;
      if (paused) await worker?.pause(true);
      else worker?.resume();
    },
    close: async () => {
      closing.abort();
      await (await begun)?.close();
    },
  };
}
