// BullMQ, on PostgreSQL or on Redis: the only file that knows it.

import {
  Queue as BullQueue,
  createPostgresBackend,
  DelayedError,
  type Job,
  type QueueOptions,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import type { Again, WakeData, WakeHandler, Wakeup } from './wakeup.ts';

export interface LaneProducer {
  add(wakeups: readonly Wakeup[]): Promise<void>;
  /** Sets the schedule where it is missing, of another period or overdue; else leaves it alone. */
  assertSchedule(wakeup: Wakeup, periodMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface LaneConsumer {
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
  const first = new BullQueue('rounds', { connection: connection(1) }, createPostgresBackend);
  first.on('error', onError);
  try {
    await first.waitUntilReady();
  } finally {
    await first.close();
  }
  return {
    produce: (lane) =>
      producer(new BullQueue(lane, { connection: connection(2), ...queueOptions() }, createPostgresBackend), onError),
    consume: (lane, handler, concurrency) =>
      consumer(
        new Worker(
          lane,
          (job, token) => handle(job, token, handler),
          { connection: connection(4), ...workerOptions(concurrency) },
          createPostgresBackend,
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
    produce: (lane) =>
      producer(
        // Commands for a Redis that is away fail at once: kept, they would fill the memory.
        new BullQueue(lane, {
          connection: { ...options, enableOfflineQueue: false },
          prefix: PREFIX,
          ...queueOptions(),
        }),
        onError,
      ),
    consume: (lane, handler, concurrency) =>
      consumer(
        new Worker(lane, (job, token) => handle(job, token, handler), {
          connection: options,
          prefix: PREFIX,
          ...workerOptions(concurrency),
        }),
        onError,
      ),
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

type AnyQueue = Pick<BullQueue, 'addBulk' | 'getJobScheduler' | 'upsertJobScheduler' | 'close'> & Listening;
type AnyWorker = Pick<Worker, 'close'> & Listening;

interface Listening {
  on(event: 'error', listener: OnError): unknown;
}

function producer(queue: AnyQueue, onError: OnError): LaneProducer {
  queue.on('error', onError);
  return {
    async add(wakeups) {
      await queue.addBulk(
        wakeups.map(({ id, data, delay = 0 }) => ({ name: NAME, data, opts: { ...JOB, jobId: id, delay } })),
      );
    },
    async assertSchedule({ id, data }, periodMs) {
      const schedule = await queue.getJobScheduler(id);
      // Overdue by more than a lock lasts: its next job was lost, and without that it makes no other.
      const overdue = Date.now() - (schedule?.next ?? 0) > periodMs + 2 * WORKER.lockDuration;
      if (schedule !== undefined && Number(schedule.every) === periodMs && !overdue) return;
      await queue.upsertJobScheduler(id, { every: periodMs }, { name: NAME, data, opts: JOB });
    },
    close: () => queue.close(),
  };
}

function consumer(worker: AnyWorker, onError: OnError): LaneConsumer {
  worker.on('error', onError);
  return { close: () => worker.close() };
}
