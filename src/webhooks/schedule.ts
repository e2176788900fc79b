// When to try again: the schedule that Standard Webhooks proposes, about three days in all.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const DELAYS = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
/** No attempts are made after this time, so that events for an unreachable receiver do not pile up without limit. */
export const LIFETIME = 96 * HOUR;
const LONGEST_ASKED = 6 * HOUR;
export const LONGEST_PAUSE_MS = 10 * MINUTE;
/** The longest delay, with the random part. */
export const LONGEST_DELAY_MS = 27 * HOUR;

/**
 * Milliseconds until the next attempt, after this many; null after the last one.
 * @param asked the delay that the receiver asked for, milliseconds
 * @param random 0 ≤ x < 1: spreads the retries of deliveries that failed together
 */
export function delayAfter(attempts: number, asked: number | null, random: number): number | null {
  const delay = DELAYS[attempts - 1];
  if (delay === undefined) return null;
  return Math.max(Math.round(delay * (0.9 + 0.2 * random)), Math.min(asked ?? 0, LONGEST_ASKED));
}

/** Milliseconds to pause a webhook after this many attempts in a row could not reach the receiver. */
export function pauseAfter(failures: number): number {
  return Math.min(5 * SECOND * 2 ** Math.min(failures - 1, 10), LONGEST_PAUSE_MS);
}
