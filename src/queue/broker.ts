// What keeps wake-ups: BullMQ, on PostgreSQL (postgres-broker.ts) or on Redis (redis-broker.ts).

import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Queue as BullQueue,
  type ConnectionOptions,
  DelayedError,
  type IQueueBackend,
  type Job,
  type JobProgress,
  type QueueOptions,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import type { Again, LaneDepth, QueueHealth, WakeData, WakeHandler, Wakeup } from './wakeup.ts';

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
  check(): Promise<QueueHealth>;
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

const NAME = 'wake';
/**
 * Jobs that are added one by one. On PostgreSQL, adding many at once makes two temporary tables: that writes more than
 * some jobs do, and bloats the system catalogs.
 */
const MOST_SINGLY = 8;
/** A handler that is called too early says so again; a time far away may come of a clock that was wrong. */
const LONGEST_DELAY_MS = 600_000;
/** Milliseconds between tries of what failed for want of the database or Redis. */
export const RETRY_MS = 500;

export type OnError = (error: Error) => void;

export function queueOptions(): Omit<QueueOptions, 'connection'> {
  return { defaultJobOptions: JOB, streams: { events: { maxLen: 100 } } };
}

export function workerOptions(concurrency: number): Omit<WorkerOptions, 'connection'> {
  return { ...WORKER, concurrency, removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } };
}

/** A job that is to come again stays the same job, so that it cannot be woken twice in the meantime. */
export async function handle(
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

export type AnyQueue = Pick<
  BullQueue,
  | 'add'
  | 'addBulk'
  | 'getJobScheduler'
  | 'promoteJobs'
  | 'getJobSchedulers'
  | 'removeJobScheduler'
  | 'upsertJobScheduler'
  | 'getJobCounts'
  | 'waitUntilReady'
  | 'close'
>;
/** Where asking for a job fails, BullMQ asks again at once, and a failure that takes no time would starve the process. */
export class PatientWorker<B extends IQueueBackend = IQueueBackend, C = ConnectionOptions> extends Worker<
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

export interface Producing {
  use(): Promise<AnyQueue>;
  close(): Promise<void>;
}

export function producer(queue: Producing): LaneProducer {
  return {
    async add(wakeups) {
      const ready = await queue.use();
      const jobs = wakeups.map(({ id, data, delay = 0 }) => ({ name: NAME, data, opts: { ...JOB, jobId: id, delay } }));
      if (jobs.length > MOST_SINGLY) await ready.addBulk(jobs);
      else await Promise.all(jobs.map(({ name, data, opts }) => ready.add(name, data, opts)));
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
