// The jobs of anchoring. They only wake workers up: what is to be done follows from the database, and what the queue has
// lost is found there again. Ids are deterministic, so that waking twice wakes once.

import { z } from 'zod';
import type { Queue } from '../queue/queue.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { AnchorTarget } from './target.ts';

/** For closing rounds and looking for forgotten work: database work only, never delayed by a chain. */
export const ROUNDS_LANE = 'rounds';

/** Each target has its own lane, so that one that hangs does not delay the others. */
export function targetLane(target: string): string {
  return `anchor-${target}`;
}

export const roundsTask = z.strictObject({ task: z.enum(['close', 'reconcile']) });
export const targetTask = z.union([
  z.strictObject({ round: z.int().positive() }),
  z.strictObject({ task: z.literal('inspect') }),
]);

export const CLOSE: Wakeup = { lane: ROUNDS_LANE, id: 'close', data: { task: 'close' } };
export const RECONCILE: Wakeup = { lane: ROUNDS_LANE, id: 'reconcile', data: { task: 'reconcile' } };

export function inspection(target: string): Wakeup {
  return { lane: targetLane(target), id: 'inspect', data: { task: 'inspect' } };
}

export function anchoring(target: string, round: number): Wakeup {
  return { lane: targetLane(target), id: `round-${round}`, data: { round } };
}

/** Asks for a round ahead of schedule. The worker decides then whether one is due. */
export async function requestRound(queue: Queue): Promise<void> {
  await queue.wake([{ lane: ROUNDS_LANE, id: 'close-now', data: { task: 'close' } }]);
}

/** Jobs added for one target at a time; the rest is found once these are done. */
const MOST_JOBS = 2_000;
const JOBS_AT_ONCE = 500;

/**
 * Adds the missing rows of rounds that a target must anchor. Rounds have no gaps and become visible in their order, so the
 * newest row tells where to continue.
 * @returns the rounds that were added
 */
export async function addMissingAnchors(database: Database, target: string, now: number): Promise<number[]> {
  const { rows } = await database.query<{ round: number }>(
    `INSERT INTO anchors (target, kind, round, created_at, updated_at)
     SELECT t.name, t.kind, r.number, $2, $2 FROM targets t JOIN rounds r
       ON r.number >= greatest(t.first_round, 1 + (SELECT coalesce(max(round), 0) FROM anchors WHERE target = t.name))
     WHERE t.name = $1
     ON CONFLICT DO NOTHING
     RETURNING round`,
    [target, now],
  );
  return rows.map(({ round }) => round);
}

/** Adds jobs for a target's unfinished rounds. Jobs that exist already stay as they are. */
export async function wakeUnfinished(queue: Queue, target: Pick<AnchorTarget, 'name' | 'unfinished'>): Promise<void> {
  await wakeRounds(queue, target.name, await target.unfinished(MOST_JOBS));
}

/** Adds jobs for these rounds. What the queue does not take now is found by the next look. */
export async function wakeRounds(queue: Queue, target: string, rounds: readonly number[]): Promise<void> {
  for (let i = 0; i < rounds.length; i += JOBS_AT_ONCE) {
    const taken = await queue.wake(rounds.slice(i, i + JOBS_AT_ONCE).map((round) => anchoring(target, round)));
    if (!taken) return;
  }
}

/** Notes that a schedule woke a worker. */
export async function noteRun(database: Queryable, schedule: string): Promise<void> {
  await database.query(
    `INSERT INTO schedule_runs (schedule, at) VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
     ON CONFLICT (schedule) DO UPDATE SET at = excluded.at`,
    [schedule],
  );
}

/** Milliseconds since a schedule last woke a worker, by the clock of the database; null: it never did. */
export async function sinceRun(database: Queryable, schedule: string): Promise<number | null> {
  const { rows } = await database.query<{ since: number }>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint - at AS since FROM schedule_runs WHERE schedule = $1`,
    [schedule],
  );
  return rows[0]?.since ?? null;
}
