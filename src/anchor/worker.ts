import type { Logger } from 'pino';
import type { Guard } from '../log/guard.ts';
import type { Lane, Queue } from '../queue/queue.ts';
import type { Database } from '../store/database.ts';
import {
  addMissingAnchors,
  CLOSE,
  inspection,
  noteRun,
  RECONCILE,
  ROUNDS_LANE,
  roundsTask,
  targetLane,
  targetTask,
  wakeRounds,
  wakeUnfinished,
} from './jobs.ts';
import type { AnchorTarget } from './target.ts';

export interface WorkerOptions {
  readonly database: Database;
  readonly queue: Queue;
  readonly targets: readonly AnchorTarget[];
  /** Closes a round if one is due; null: none was. Of several processes only one closes it. */
  readonly closeRound: () => Promise<unknown>;
  /** Milliseconds between checks whether a round is due. */
  readonly roundInterval: number;
  /** Milliseconds between looks for forgotten work and at the chains. Default 30,000. */
  readonly reconcileInterval?: number;
  readonly now: () => number;
  readonly logger: Logger;
  /** Default: none, and nothing is compared with what was published. */
  readonly guard?: Pick<Guard, 'rollback' | 'releaseRounds'>;
  /** Resolves when rounds may be closed and sent: once the chains were looked at, or did not answer. Default: now. */
  readonly ready?: Promise<void>;
}

export interface AnchorWorker {
  /**
   * Waits at most ten seconds for work under way, and five for what nodes and calendars are asked. The queue itself stays
   * open.
   */
  stop(): Promise<void>;
}

const HALTED_MS = 60_000;
const ASKING_MS = 5_000;
/** Rounds of a target in one batch. */
const CONCURRENCY = 100;

/**
 * Closes rounds and anchors them, woken by jobs of the queue. Any number of processes may do this together.
 * @throws AntequemError where a target contradicts what the database knows of it
 */
export async function startWorker(options: WorkerOptions): Promise<AnchorWorker> {
  const { database, queue, targets, closeRound, roundInterval, reconcileInterval = 30_000, now } = options;
  for (const target of targets) await target.register();
  options.logger.info({ targets: targets.map(({ name }) => name), roundInterval }, 'closing and anchoring rounds');

  const { guard, ready = Promise.resolve() } = options;
  /** Nothing is closed or sent while the database is known to be set back. */
  const halted = (): boolean => guard !== undefined && guard.rollback.finding !== null;
  const addNewRounds = async (): Promise<void> => {
    // A round is recorded as published before it is sent.
    await guard?.releaseRounds();
    for (const { name } of targets) await wakeRounds(queue, name, await addMissingAnchors(database, name, now()));
  };
  const lanes: Lane[] = [];
  const roundsLane = queue.work(
    ROUNDS_LANE,
    async (data) => {
      const { task } = roundsTask.parse(data);
      await noteRun(database, task);
      await ready;
      if (halted()) return undefined;
      if (task === 'close') {
        if ((await closeRound()) !== null) await addNewRounds();
        return undefined;
      }
      await addNewRounds();
      // In the target's own lane, because a chain may answer slowly.
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
        await ready;
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
  void queue.removeFormerSchedules([ROUNDS_LANE]);
  queue.every(CLOSE, roundInterval);
  queue.every(RECONCILE, reconcileInterval);
  // Work that was due while no process ran does not wait for the schedule, which a killed process holds for some seconds.
  const look = async (): Promise<void> => {
    await ready;
    if (halted()) return;
    await closeRound();
    await addNewRounds();
  };
  const first = look().catch((error: unknown) => options.logger.warn({ err: error }, 'the first look failed'));
  return {
    stop: async () => {
      // Whoever waits for a node that hangs is told that nothing comes.
      const giveUp = setTimeout(() => {
        for (const target of targets) target.close();
      }, ASKING_MS);
      await Promise.all([first, ...lanes.map((lane) => lane.close())]);
      clearTimeout(giveUp);
      for (const target of targets) target.close();
    },
  };
}

interface Waiting {
  readonly round: number;
  readonly resolve: (again: number | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects rounds that are woken one by one: those that come in while a target works become its next batch. A thousand
 * rounds then cost a few dozen database transactions, and a single round does not wait.
 */
class RoundBatch {
  readonly #target: AnchorTarget;
  #waiting: Waiting[] = [];
  #working = false;

  constructor(target: AnchorTarget) {
    this.#target = target;
  }

  /** Resolves with the milliseconds until the next look at the round; null: none is needed. */
  advance(round: number): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ round, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#waiting.length > 0) {
      // Jobs that were added together arrive within one turn of the event loop.
      await new Promise(setImmediate);
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const outcome = await this.#target.advance([...new Set(batch.map(({ round }) => round))]);
        for (const { round, resolve } of batch) resolve(outcome.get(round) ?? null);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#working = false;
  }
}
