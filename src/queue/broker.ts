// BullMQ, on PostgreSQL or on Redis: the only file that knows it.

import { setTimeout as sleep } from 'node:timers/promises';
import {
  Queue as BullQueue,
  type ConnectionOptions,
  createPostgresBackend,
  DelayedError,
  type IQueueBackend,
  type Job,
  type JobProgress,
  type PostgresConnectionOptions,
  type PostgresQueueBackend,
  type QueueOptions,
  runMigrations,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import type pg from 'pg';
import { AntequemError } from '../core/errors.ts';
import { addressOf, HostClient, openClient } from '../store/address.ts';
import { redisAddress } from '../store/redis-address.ts';
import { type RedisFindings, RedisState } from './redis-state.ts';
import type { Again, LaneDepth, WakeData, WakeHandler, Wakeup } from './wakeup.ts';

export interface LaneProducer {
  add(wakeups: readonly Wakeup[]): Promise<void>;
  /** Sets the schedule where it is missing, of another period, overdue or too far ahead; else leaves it alone. */
  assertSchedule(wakeup: Wakeup, periodMs: number): Promise<void>;
  /** Makes the schedule anew, from now on. */
  renewSchedule(wakeup: Wakeup, periodMs: number): Promise<void>;
  /** Wakes now whatever was to be woken later. */
  wakeDelayed(): Promise<void>;
  depth(): Promise<LaneDepth>;
  /** When the schedule of that id is to wake next, in milliseconds since the Unix epoch; null: there is none. */
  nextRun(id: string): Promise<number | null>;
  /** Takes away every schedule of the lane. */
  removeSchedules(): Promise<void>;
  close(): Promise<void>;
}

export interface LaneConsumer {
  /** Whether it takes no more jobs for now. What is under way goes on. */
  pause(paused: boolean): Promise<void>;
  /** Takes no more jobs and waits for those under way. */
  close(): Promise<void>;
}

export interface Broker {
  /** Whether wake-ups can be kept there now. @throws AntequemError `redis-unsupported` */
  check(): Promise<RedisFindings>;
  produce(lane: string): LaneProducer;
  consume(lane: string, handler: WakeHandler, concurrency: number): LaneConsumer;
  /** The lane as releases before called it, when all services had one name; null: there is none. */
  former(lane: string): Promise<LaneProducer | null>;
  /** From now on a connection that is lost is not made again. */
  retire(): void;
  close(): Promise<void>;
}

// An id that stands as completed or failed would make every later wake-up of that id a silent nothing.
const JOB = { removeOnComplete: true, removeOnFail: true, attempts: 1 } as const;

// A process that was killed leaves its jobs locked; this long at most they cannot be woken again.
const WORKER = { lockDuration: 6_000, stalledInterval: 3_000, maxStalledCount: 1_000_000 } as const;

/** What all services had in common in releases before. */
const FORMER_SCHEMA = 'antequem_queue';
const FORMER_PREFIX = 'antequem';
const NAME = 'wake';
/** A handler that is called too early says so again; a time far away may come of a clock that was wrong. */
const LONGEST_DELAY_MS = 600_000;
/** Milliseconds between tries of what failed for want of the database. */
const RETRY_MS = 500;

type OnError = (error: Error) => void;

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
    return schema;
  } finally {
    await client.end();
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

/**
 * Connects when it can.
 * @param name what the service calls its own
 * @throws AntequemError `redis-unsupported` where Redis answers and cannot be used
 */
export async function redisBroker(url: string, name: string, onError: OnError): Promise<Broker> {
  const address = redisAddress(url);
  let retired = false;
  const retryStrategy = (times: number): number | null =>
    retired ? null : Math.min(100 * 2 ** Math.min(times, 10), 5_000);
  const options = { ...address.options, maxRetriesPerRequest: null, retryStrategy };
  const state = new RedisState(url, name);
  const produce = (lane: string, prefix: string): LaneProducer => {
    // Commands for a Redis that is away fail at once: kept, they would fill the memory.
    const connection = { ...options, enableOfflineQueue: false };
    const queue = new BullQueue(lane, { connection, prefix, ...queueOptions() });
    queue.on('error', onError);
    return producer({ use: async () => queue, close: () => queue.close() });
  };
  try {
    for (const notice of (await state.check()).notices) onError(new Error(notice));
  } catch (error) {
    state.close();
    throw error;
  }
  return {
    check: () => state.check(),
    produce: (lane) => produce(lane, name),
    consume: (lane, handler, concurrency) => {
      const worker = new PatientWorker(lane, (job, token) => handle(job, token, handler, onError), {
        connection: options,
        prefix: name,
        ...workerOptions(concurrency),
      });
      worker.on('error', onError);
      return {
        pause: async (paused) => (paused ? worker.pause(true) : worker.resume()),
        close: () => worker.close(),
      };
    },
    former: async (lane) => produce(lane, FORMER_PREFIX),
    retire: () => {
      retired = true;
    },
    close: async () => state.close(),
  };
}

function queueOptions(): Omit<QueueOptions, 'connection'> {
  return { defaultJobOptions: JOB, streams: { events: { maxLen: 100 } } };
}

function workerOptions(concurrency: number): Omit<WorkerOptions, 'connection'> {
  return { ...WORKER, concurrency, removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } };
}

/** A job that is to come again stays the same job, so that it cannot be woken twice in the meantime. */
async function handle(
  job: Job<WakeData>,
  token: string | undefined,
  handler: WakeHandler,
  onError: OnError,
): Promise<void> {
  // Redis dropped the job and kept its place. What it was for is found again by a reconciler.
  if (job.name !== NAME) return onError(new Error('a wake-up has lost its content: Redis evicts what it should keep'));
  const outcome: Again = await handler(job.data);
  if (outcome === undefined || job.repeatJobKey !== undefined) return;
  await job.moveToDelayed(Date.now() + Math.min(outcome.again, LONGEST_DELAY_MS), token);
  throw new DelayedError();
}

type AnyQueue = Pick<
  BullQueue,
  | 'addBulk'
  | 'getJobScheduler'
  | 'promoteJobs'
  | 'getJobSchedulers'
  | 'removeJobScheduler'
  | 'upsertJobScheduler'
  | 'getJobCounts'
  | 'waitUntilReady'
  | 'close'
> &
  Listening;
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

/** Where asking for a job fails, BullMQ asks again at once, and a failure that takes no time would starve the process. */
class PatientWorker<B extends IQueueBackend = IQueueBackend, C = ConnectionOptions> extends Worker<
  WakeData,
  unknown,
  string,
  B,
  JobProgress,
  C
> {
  protected override async moveToActive(token: string, name?: string): Promise<Job<WakeData, unknown, string>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      await sleep(RETRY_MS);
      throw error;
    }
  }
}

interface Producing {
  use(): Promise<AnyQueue>;
  close(): Promise<void>;
}

// BullMQ on PostgreSQL remembers for ever that it could not connect at first: what failed so is made anew.

/** A queue that is made when first needed, and again where it did not get ready. */
function renewed(open: () => AnyQueue, onError: OnError): Producing {
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

function producer(queue: Producing): LaneProducer {
  return {
    async add(wakeups) {
      const ready = await queue.use();
      await ready.addBulk(
        wakeups.map(({ id, data, delay = 0 }) => ({ name: NAME, data, opts: { ...JOB, jobId: id, delay } })),
      );
    },
    async assertSchedule({ id, data }, periodMs) {
      const ready = await queue.use();
      const schedule = await ready.getJobScheduler(id);
      const due = (schedule?.next ?? 0) - Date.now();
      // Made by a clock that was wrong. BullMQ would believe it, and wait.
      if (schedule !== undefined && due > 2 * periodMs) await ready.removeJobScheduler(id);
      // Overdue by more than a lock lasts: its next job was lost, and without that it makes no other.
      else if (
        schedule !== undefined &&
        Number(schedule.every) === periodMs &&
        due >= -(periodMs + 2 * WORKER.lockDuration)
      ) {
        return;
      }
      await ready.upsertJobScheduler(id, { every: periodMs }, { name: NAME, data, opts: JOB });
    },
    async renewSchedule({ id, data }, periodMs) {
      const ready = await queue.use();
      await ready.removeJobScheduler(id);
      await ready.upsertJobScheduler(id, { every: periodMs }, { name: NAME, data, opts: JOB });
    },
    async wakeDelayed() {
      await (await queue.use()).promoteJobs();
    },
    async nextRun(id) {
      const schedule = await (await queue.use()).getJobScheduler(id);
      return schedule?.next ?? null;
    },
    async removeSchedules() {
      const ready = await queue.use();
      await ready.waitUntilReady();
      for (const { key } of await ready.getJobSchedulers()) await ready.removeJobScheduler(key);
    },
    async depth() {
      const counts = await (await queue.use()).getJobCounts('active', 'waiting', 'prioritized', 'delayed');
      const { active = 0, waiting = 0, prioritized = 0, delayed = 0 } = counts;
      return { active, waiting: waiting + prioritized, delayed };
    },
    close: () => queue.close(),
  };
}
