// The wake-ups of anchoring. Ids are deterministic, so that whoever wakes twice wakes once.

import { z } from 'zod';
import type { Queue } from '../queue/queue.ts';
import type { Wakeup } from '../queue/wakeup.ts';

/** Closing rounds and looking for what was forgotten: work on the database alone, never held up by a chain. */
export const ROUNDS_LANE = 'rounds';

/** A lane of its own for each target, so that one that hangs delays no other. */
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

/** Asks that a round be closed before its time. Whether one is due is looked at then. */
export async function requestRound(queue: Queue): Promise<void> {
  await queue.wake([{ lane: ROUNDS_LANE, id: 'close-now', data: { task: 'close' } }]);
}
