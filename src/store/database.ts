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

export interface DatabaseOptions {
  /** Default 10. */
  readonly connections?: number;
  /** As the server lists it. Default `antequem`. */
  readonly name?: string;
  /** Milliseconds that any one statement may take. Default 60,000. */
  readonly patience?: number;
}

/** A pool of connections; `bigint` columns come as numbers below 2^53, `bytea` as bytes. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const config = {
    connectionString: url,
    max: options.connections ?? 10,
    application_name: options.name ?? 'antequem',
    types,
    // Statements of one transaction that need no answer between them share a round trip.
    pipeline: true,
    connectionTimeoutMillis: 10_000,
    // A server that is silent for so long is as good as gone: its connection is destroyed, and what was asked fails.
    query_timeout: options.patience ?? 60_000,
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

/** Milliseconds that the server lets a transaction wait for a lock, of those that have a deadline. */
const LOCK_PATIENCE = 10_000;

/**
 * Runs `work` in a transaction: committed when it returns, rolled back when it throws. Whether a commit whose
 * connection broke took place is unknown: that is reported as an error of the connection, never as success.
 * With a `deadline` (milliseconds) a transaction that hangs is given up: its connection is destroyed, so that nothing is
 * held here, and the server ends what waits for a lock or idles, so that nothing is held there.
 * @throws AntequemError `database-silent` past the deadline: whether it was committed is unknown
 */
export async function transaction<T>(
  database: Database,
  work: (tx: Transaction, defer: Defer) => Promise<T>,
  { deadline }: { readonly deadline?: number } = {},
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
  const run = async (): Promise<T> => {
    // Not waited for: the first statement of the work goes out with it.
    defer(tx.query(beginning(deadline)));
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
  };
  const limit = deadline === undefined ? null : limitOf(tx, deadline);
  try {
    return await (limit === null ? run() : Promise.race([run(), limit.passed]));
  } catch (error) {
    await tx.query('ROLLBACK').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    });
    throw error;
  } finally {
    limit?.lift();
    tx.off('error', onError);
    tx.release(broken ?? false);
  }
}

/** No statement timeout: it could end a commit's wait for its replica and have that pass for success. */
function beginning(deadline: number | undefined): string {
  if (deadline === undefined) return 'BEGIN';
  const lock = Math.min(LOCK_PATIENCE, deadline);
  return `BEGIN; SET LOCAL lock_timeout = ${lock}; SET LOCAL idle_in_transaction_session_timeout = ${deadline}`;
}

/** Destroys the connection when the deadline has passed: everything sent on it fails then. */
function limitOf(tx: Transaction, deadline: number): { passed: Promise<never>; lift: () => void } {
  const { promise: passed, reject } = Promise.withResolvers<never>();
  passed.catch(() => {});
  const timer = setTimeout(() => {
    reject(
      new AntequemError(
        'database-silent',
        `a transaction took more than ${deadline} ms; whether it was committed is unknown`,
      ),
    );
    // A graceful end would wait for the answers that do not come.
    if (tx instanceof pg.Client) tx.connection.stream.destroy();
  }, deadline);
  return { passed, lift: () => clearTimeout(timer) };
}

/** Waits for all; where some fail, those behind the first fail for that reason alone: the first error says why. */
async function inOrder(statements: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(statements)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}
