import pg from 'pg';
import { AntequemError } from '../core/errors.ts';
import { type Address, addressOf, HostClient, isReadOnly, openClient } from './address.ts';

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

/**
 * A pool of connections; `bigint` columns come as numbers below 2^53, `bytea` as bytes. What cannot connect throws
 * AntequemError `database-unavailable` or `database-read-only`, which name the database.
 */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const address = addressOf(url);
  const config = {
    ...address.config,
    Client: HostClient,
    max: options.connections ?? 10,
    application_name: options.name ?? 'antequem',
    types,
    // Statements of one transaction that need no answer between them share a round trip.
    pipeline: true,
    // A server that is silent for so long counts as gone: its connection is destroyed, and the query fails.
    query_timeout: options.patience ?? 60_000,
    // Of several hosts the one that takes writes is looked for; a single one may still be read from.
    onConnect: (client: unknown) => {
      if (address.count > 1 && client instanceof HostClient) client.demandWritable();
    },
  };
  const pool = new HostPool(config, address, () =>
    openClient(url, { application_name: config.application_name, types, query_timeout: config.query_timeout }),
  );
  // An idle connection that dies is replaced when next needed; without a listener it would end the process.
  pool.on('error', () => {});
  // The same for a connection that dies between leaving the pool and being used: the next query on it fails.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Milliseconds between two times that all sessions are given up. */
const DROP_PAUSE_MS = 1_000;

class HostPool extends pg.Pool {
  readonly #address: Address;
  /** A session apart from the pool's. */
  readonly open: () => Promise<pg.Client>;
  #droppedAt = Number.NEGATIVE_INFINITY;

  constructor(config: pg.PoolConfig, address: Address, open: () => Promise<pg.Client>) {
    super(config);
    this.#address = address;
    this.open = open;
    this.on('release', (error: unknown) => {
      if (isReadOnly(error) && performance.now() - this.#droppedAt >= DROP_PAUSE_MS) void this.dropSessions();
    });
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Connected): void;
  override connect(callback?: Connected): Promise<pg.PoolClient> | undefined {
    const connecting = this.#connect();
    if (callback === undefined) return connecting;
    void connecting.then(
      (client) => callback(undefined, client, client.release),
      (error) => callback(error, undefined, () => {}),
    );
    return undefined;
  }

  async #connect(): Promise<pg.PoolClient> {
    for (let tries = 1; ; tries++) {
      try {
        return await super.connect();
      } catch (error) {
        if (isReadOnly(error)) this.#address.failed();
        if (tries >= this.#address.count) throw this.#address.unavailable(error);
      }
    }
  }

  /** Idle sessions with a server that takes no writes any more: the next ones may reach the server that does. */
  async dropSessions(): Promise<void> {
    this.#droppedAt = performance.now();
    this.#address.failed();
    for (let idle = this.idleCount; idle > 0 && this.idleCount > 0; idle--) {
      await super.connect().then(
        (client) => client.release(true),
        () => {},
      );
    }
  }
}

/**
 * For who was told that the database takes no writes: a session may be of before, or with a host of before, so a new one is
 * asked. Once that takes writes, the idle sessions are given up.
 * @returns null where the new session takes no writes either
 */
export async function askNewSession<T>(
  database: Database,
  ask: (session: Queryable) => Promise<T>,
  takesWrites: (answer: T) => boolean,
): Promise<T | null> {
  if (!(database instanceof HostPool)) return null;
  const session = await database.open().catch((error: unknown) => {
    if (isReadOnly(error)) return null;
    throw error;
  });
  if (session === null) return null;
  try {
    const answer = await ask(session);
    if (!takesWrites(answer)) return null;
    await database.dropSessions();
    return answer;
  } finally {
    await session.end().catch(() => {});
  }
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (broken?: Error | boolean) => void,
) => void;

/**
 * Has COMMIT sent behind a statement without waiting for it: a round trip less, and what is sent in one turn goes in one
 * write. Its failure is that of the commit.
 */
export type Defer = (send: () => Promise<unknown>) => void;

const MAX_LOCK_PATIENCE_MS = 10_000;

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
  const run = async (tx: Transaction): Promise<T> => {
    const statements: Promise<unknown>[] = [];
    const failures: unknown[] = [];
    const gather = gathering(tx);
    const defer: Defer = (send) => {
      gather();
      const statement = send();
      statement.catch((error: unknown) => failures.push(error));
      statements.push(statement);
    };
    // Not waited for: the first statement of the work goes out with it.
    defer(() => tx.query(beginning(deadline)));
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
  return onConnection(database, run, deadline);
}

/**
 * Runs `work` on one connection, where each statement is a transaction of its own. With a `deadline` as {@link transaction};
 * how long a lock is waited for, the statement has to say.
 * @throws AntequemError `database-silent` past the deadline: whether a statement was committed is unknown
 */
export async function onConnection<T>(
  database: Database,
  work: (connection: Transaction) => Promise<T>,
  deadline?: number,
): Promise<T> {
  const tx = await database.connect();
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  tx.on('error', onError);
  const limit = deadline === undefined ? null : limitOf(tx, deadline);
  try {
    return await (limit === null ? work(tx) : Promise.race([work(tx), limit.passed]));
  } catch (error) {
    await tx.query('ROLLBACK').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    });
    if (isReadOnly(error) && error instanceof Error) broken = error;
    throw error;
  } finally {
    limit?.lift();
    tx.off('error', onError);
    tx.release(broken ?? false);
  }
}

/** Milliseconds that the server may let a transaction with this deadline wait for a lock. */
export function lockPatience(deadline: number): number {
  return Math.min(MAX_LOCK_PATIENCE_MS, deadline);
}

/** Holds back what is written to a connection until the turn of the event loop is over. */
function gathering(tx: Transaction): () => void {
  if (!(tx instanceof pg.Client)) return () => {};
  let isHeld = false;
  return () => {
    if (isHeld) return;
    isHeld = true;
    const { stream } = tx.connection;
    stream.cork();
    process.nextTick(() => {
      isHeld = false;
      stream.uncork();
    });
  };
}

/** No statement timeout: it could end a commit's wait for its replica and have that pass for success. */
function beginning(deadline: number | undefined): string {
  if (deadline === undefined) return 'BEGIN';
  return `BEGIN; SET LOCAL lock_timeout = ${lockPatience(deadline)}; SET LOCAL idle_in_transaction_session_timeout = ${deadline}`;
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
