import pg from 'pg';
import { AntequemError } from '../core/errors.ts';

export type Database = pg.Pool;
export type Transaction = pg.PoolClient;
/** Where a query can run: the pool, or a transaction on one of its connections. */
export type Queryable = Pick<pg.Pool, 'query'>;

const INT8 = 20;

function int8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new AntequemError('integer-range', `the database holds ${text}, beyond 2^53`);
  return value;
}

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? int8 : pg.types.getTypeParser(oid, format),
};

/** A pool of connections; `bigint` columns come as numbers below 2^53, `bytea` as bytes. */
export function openDatabase(url: string, options: { connections?: number; name?: string } = {}): Database {
  const config = {
    connectionString: url,
    max: options.connections ?? 10,
    application_name: options.name ?? 'antequem',
    types,
    // Statements of one transaction that need no answer between them share a round trip.
    pipeline: true,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  };
  const pool = new pg.Pool(config);
  // An idle connection that dies is replaced when next needed; without a listener it would end the process.
  pool.on('error', () => {});
  // The same for one that dies between leaving the pool and reaching whoever asked for it: what is sent on it next fails.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Has COMMIT sent behind a statement without waiting for it: a round trip less. Its failure is that of the commit. */
export type Defer = (statement: Promise<unknown>) => void;

/**
 * Runs `work` in a transaction: committed when it returns, rolled back when it throws. Whether a commit whose
 * connection broke took place is unknown: that is reported as an error of the connection, never as success.
 */
export async function transaction<T>(
  database: Database,
  work: (tx: Transaction, defer: Defer) => Promise<T>,
): Promise<T> {
  const tx = await database.connect();
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  tx.on('error', onError);
  const statements: Promise<unknown>[] = [];
  const failures: unknown[] = [];
  const defer: Defer = (statement) => {
    statement.catch((error: unknown) => failures.push(error));
    statements.push(statement);
  };
  try {
    // Not waited for: the first statement of the work goes out with it.
    defer(tx.query('BEGIN'));
    const result = await work(tx, defer);
    // One that failed before it was sent is not known to the server, which would commit the others without it.
    if (failures.length > 0) throw failures[0];
    const end = tx.query('COMMIT');
    await inOrder([...statements, end]);
    // COMMIT of a failed transaction does not fail: it says ROLLBACK.
    if ((await end).command !== 'COMMIT') {
      throw new AntequemError('commit-refused', 'the database rolled the transaction back');
    }
    return result;
  } catch (error) {
    await tx.query('ROLLBACK').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    });
    throw error;
  } finally {
    tx.off('error', onError);
    tx.release(broken ?? false);
  }
}

/** Waits for all; where some fail, those behind the first fail for that reason alone: the first error says why. */
async function inOrder(statements: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(statements)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}
