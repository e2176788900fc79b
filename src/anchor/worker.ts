import type { Logger } from 'pino';
import type { Guard } from '../log/guard.ts';
import type { Lane, Queue } from '../queue/queue.ts';
import type { Database } from '../store/database.ts';
import { RoundBatch } from './batch.ts';
import { CLOSE, inspection, RECONCILE, ROUNDS_LANE, roundsTask, targetLane, targetTask } from './jobs.ts';
import { addMissingAnchors, wakeRounds, wakeUnfinished } from './reconciler.ts';
import type { AnchorTarget } from './target.ts';

export interface WorkerOptions {
  /** With two connections to spare for each target. */
  readonly database: Database;
  readonly queue: Queue;
  readonly targets: readonly AnchorTarget[];
  /** Closes a round if one is due: what it was, or null. Called by several processes at once only one closes. */
  readonly closeRound: () => Promise<unknown>;
  /** Milliseconds between looks whether a round is due. */
  readonly roundInterval: number;
  /** Milliseconds between looks for what was forgotten, and at the chains. Default 30,000. */
  readonly reconcileInterval?: number;
  readonly now: () => number;
  readonly logger: Logger;
  /** Default: none, nothing is compared. */
  readonly guard?: Pick<Guard, 'rollback' | 'releaseRounds'>;
}

export interface AnchorWorker {
  /** Waits for what is under way, at most ten seconds. The queue itself stays open. */
  stop(): Promise<void>;
}

const HALTED_MS = 60_000;
/** Rounds of a target in one batch. */
const CONCURRENCY = 100;

/**
 * Closes rounds and brings them to their targets, from wake-ups of the queue. Any number of processes may do so.
 * @throws AntequemError where a target contradicts what the database knows of it
 */
export async function startWorker(options: WorkerOptions): Promise<AnchorWorker> {
  const { database, queue, targets, closeRound, roundInterval, reconcileInterval = 30_000, now } = options;
  for (const target of targets) await target.register();
  options.logger.info({ targets: targets.map(({ name }) => name), roundInterval }, 'closing and anchoring rounds');

  const { guard } = options;
  /** Nothing is closed or sent on a database that was set back. */
  const halted = (): boolean => guard !== undefined && guard.rollback.finding !== null;
  const addNewRounds = async (): Promise<void> => {
    // No round is sent before it is recorded as published.
    await guard?.releaseRounds();
    for (const { name } of targets) await wakeRounds(queue, name, await addMissingAnchors(database, name, now()));
  };
  const lanes: Lane[] = [];
  const roundsLane = queue.work(
    ROUNDS_LANE,
    async (data) => {
      const { task } = roundsTask.parse(data);
      if (halted()) return undefined;
      if (task === 'close') {
        if ((await closeRound()) !== null) await addNewRounds();
        return undefined;
      }
      await addNewRounds();
      // In the target's own lane: a chain may take its time to answer.
      await queue.wake(targets.map(({ name }) => inspection(name)));
      return undefined;
    },
    { concurrency: 2 },
  );
  lanes.push(roundsLane);
  for (const target of targets) {
    const batch = new RoundBatch(target);
    const lane = queue.work(
      targetLane(target.name),
      async (data) => {
        const task = targetTask.parse(data);
        if (halted()) return 'round' in task ? { again: HALTED_MS } : undefined;
        if ('round' in task) {
          const again = await batch.advance(task.round);
          return again === null ? undefined : { again };
        }
        await target.inspect();
        await wakeUnfinished(queue, target);
        return undefined;
      },
      { concurrency: CONCURRENCY },
    );
    lanes.push(lane);
  }
  queue.every(CLOSE, roundInterval);
  queue.every(RECONCILE, reconcileInterval);
  // What was due while nobody ran does not wait for a schedule, which a process that was killed holds for some seconds.
  const look = async (): Promise<void> => {
    if (halted()) return;
    await closeRound();
    await addNewRounds();
  };
  const first = look().catch((error: unknown) => options.logger.warn({ err: error }, 'the first look failed'));
  return {
    stop: async () => {
      await first;
      await Promise.all(lanes.map((lane) => lane.close()));
      for (const target of targets) target.close();
    },
  };
}
