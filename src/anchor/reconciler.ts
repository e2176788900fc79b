// What is to be done follows from the database; this finds it there, whatever the queue has lost.

import type { Queue } from '../queue/queue.ts';
import type { Database } from '../store/database.ts';
import { anchoring } from './jobs.ts';
import type { AnchorTarget } from './target.ts';

/** Wake-ups for one target at a time; what lies beyond is found again once these are done. */
const MOST = 2_000;
const AT_ONCE = 500;

/**
 * Gives every round that a target is to anchor its row. Rounds are numbered without a gap and in the order they became
 * visible, so the newest row tells where to go on.
 * @returns the rounds that are new
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

/** Wakes whatever of a target is not done with. What is awake already is left as it is. */
export async function wakeUnfinished(queue: Queue, target: Pick<AnchorTarget, 'name' | 'unfinished'>): Promise<void> {
  await wakeRounds(queue, target.name, await target.unfinished(MOST));
}

/** Wakes these rounds; what the queue does not take now is found by the next look. */
export async function wakeRounds(queue: Queue, target: string, rounds: readonly number[]): Promise<void> {
  for (let i = 0; i < rounds.length; i += AT_ONCE) {
    const taken = await queue.wake(rounds.slice(i, i + AT_ONCE).map((round) => anchoring(target, round)));
    if (!taken) return;
  }
}
