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
  Worker,
  type WorkerOptions,
} from 'bullmq';
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
  close(): Promise<void>;
}

export interface LaneConsumer {
  /** Whether it takes no more jobs for now. What is under way goes on. */
  pause(paused: boolean): Promise<void>;
  /** Takes no more jobs and waits for those under way. */
  close(): Promise<void>;
}

export interface Broker {
  produce(lane: string): LaneProducer;
  consume(lane: string, handler: WakeHandler, concurrency: number): LaneConsumer;
  close(): Promise<void>;
}

// An id that stands as completed or failed would make every later wake-up of that id a silent nothing.
const JOB = { removeOnComplete: true, removeOnFail: true, attempts: 1 } as const;

// A process that was killed leaves its jobs locked; this long at most they cannot be woken again.
const WORKER = { lockDuration: 6_000, stalledInterval: 3_000, maxStalledCount: 1_000_000 } as const;

const SCHEMA = 'antequem_queue';
const PREFIX = 'antequem';
const NAME = 'wake';
/** Milliseconds between tries of what failed for want of the database. */
const RETRY_MS = 500;

type OnError = (error: Error) => void;

/** Makes the schema if need be. @throws what PostgreSQL says where it cannot be reached or does not allow that */
export async function postgresBroker(url: string, onError: OnError): Promise<Broker> {
  const connection = (max: number) => ({
    connectionString: url,
    schema: SCHEMA,
    migrate: true,
    max,
    application_name: 'antequem queue',
    connectionTimeoutMillis: 5_000,
  });
  // A queue that could not connect at first never does: so the first one is waited for, and says what is wrong.
  const first = new BullQueue('rounds', { connection: connection(1) }, guardedBackend);
  first.on('error', onError);
  try {
    await first.waitUntilReady();
  } finally {
    await first.close();
  }
  return {
    produce: (lane) =>
      producer(
        renewed(() => new BullQueue(lane, { connection: connection(2), ...queueOptions() }, guardedBackend), onError),
      ),
    consume: (lane, handler, concurrency) =>
      persistent(
        () =>
          new PatientWorker<PostgresQueueBackend, PostgresConnectionOptions>(
            lane,
            (job, token) => handle(job, token, handler),
            { connection: connection(4), ...workerOptions(concurrency), autorun: false },
            guardedBackend,
          ),
        onError,
      ),
    close: async () => {},
  };
}

/** Connects when it can. */
export function redisBroker(url: string, onError: OnError): Broker {
  const retryStrategy = (times: number): number => Math.min(100 * 2 ** Math.min(times, 10), 5_000);
  const options = { url, maxRetriesPerRequest: null, retryStrategy };
  return {
    produce: (lane) => {
      // Commands for a Redis that is away fail at once: kept, they would fill the memory.
      const connection = { ...options, enableOfflineQueue: false };
      const queue = new BullQueue(lane, { connection, prefix: PREFIX, ...queueOptions() });
      queue.on('error', onError);
      return producer({ use: async () => queue, close: () => queue.close() });
    },
    consume: (lane, handler, concurrency) => {
      const worker = new PatientWorker(lane, (job, token) => handle(job, token, handler), {
        connection: options,
        prefix: PREFIX,
        ...workerOptions(concurrency),
      });
      worker.on('error', onError);
      return {
        pause: async (paused) => (paused ? worker.pause(true) : worker.resume()),
        close: () => worker.close(),
      };
    },
    close: async () => {},
  };
}

function queueOptions(): Omit<QueueOptions, 'connection'> {
  return { defaultJobOptions: JOB, streams: { events: { maxLen: 100 } } };
}

function workerOptions(concurrency: number): Omit<WorkerOptions, 'connection'> {
  return { ...WORKER, concurrency, removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } };
}

/** A job that is to come again stays the same job, so that nobody can wake it twice in the meantime. */
async function handle(job: Job<WakeData>, token: string | undefined, handler: WakeHandler): Promise<void> {
  const outcome: Again = await handler(job.data);
  if (outcome === undefined || job.repeatJobKey !== undefined) return;
  await job.moveToDelayed(Date.now() + outcome.again, token);
  throw new DelayedError();
}

type AnyQueue = Pick<
  BullQueue,
  | 'addBulk'
  | 'getJobScheduler'
  | 'upsertJobScheduler'
  | 'removeJobScheduler'
  | 'promoteJobs'
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
    async depth() {
      const counts = await (await queue.use()).getJobCounts('active', 'waiting', 'prioritized', 'delayed');
      const { active = 0, waiting = 0, prioritized = 0, delayed = 0 } = counts;
      return { active, waiting: waiting + prioritized, delayed };
    },
    close: () => queue.close(),
  };
}
