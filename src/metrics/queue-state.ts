// Whether the queue wakes the workers: what it says of itself, its schedule, and when that was last heeded.

import { CLOSE, sinceRun } from '../anchor/jobs.ts';
import type { Queue } from '../queue/queue.ts';
import type { QueueHealth } from '../queue/wakeup.ts';
import type { Queryable } from '../store/database.ts';

export interface QueueState extends QueueHealth {
  /** Whether there is a schedule for closing rounds; null: the queue does not tell. */
  readonly scheduled: boolean | null;
  /** Milliseconds since that schedule last woke a worker; null: it never did. */
  readonly sinceRun: number | null;
}

/** Milliseconds for which nothing is said of schedules: workers that start, or are replaced, take their time. */
const GRACE_MS = 60_000;
/** Periods that may pass without a run. */
const PERIODS = 3;

export async function readQueueState(
  database: Queryable,
  queue: Pick<Queue, 'health' | 'nextRun'>,
): Promise<QueueState> {
  const [health, next, since] = await Promise.all([
    queue.health(),
    queue.nextRun(CLOSE),
    sinceRun(database, CLOSE.id).catch(() => null),
  ]);
  return { ...health, scheduled: next === undefined ? null : next !== null, sinceRun: since };
}

/**
 * In a word what is wrong, and what to say about it; null: nothing.
 * @param period milliseconds between two runs
 * @param up milliseconds that this process has been running
 */
export function queueFault(
  state: QueueState,
  period: number,
  up: number,
): { readonly check: string; readonly notice: string } | null {
  const late = 'rounds are closed and anchored late';
  if (state.problem !== null) return { check: 'failing', notice: `the queue ${state.problem}: ${late}` };
  const most = PERIODS * period + GRACE_MS;
  if (up <= most) return null;
  if (state.scheduled === false) {
    return { check: 'no schedule', notice: `the queue has no schedule for closing rounds, so no worker runs: ${late}` };
  }
  if ((state.sinceRun ?? Number.POSITIVE_INFINITY) <= most) return null;
  const last =
    state.sinceRun === null
      ? 'has woken no worker yet'
      : `last woke a worker ${Math.round(state.sinceRun / 1_000)} s ago`;
  return { check: 'stalled', notice: `the queue ${last}: ${late}` };
}
