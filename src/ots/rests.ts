// Calendars that fail rest, whoever of the rounds met the failure: one that is down must not be asked for each of them.

import { afterFailure, type Pace } from './pace.ts';

interface Rest {
  readonly failures: number;
  /** Milliseconds since the Unix epoch. */
  readonly until: number;
  readonly problem: string;
}

export class Rests {
  readonly #pace: Pace;
  readonly #rests = new Map<string, Rest>();

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Until when a calendar rests, and why; null: it does not. */
  of(calendar: string, now: number): Pick<Rest, 'until' | 'problem'> | null {
    const rest = this.#rests.get(calendar);
    return rest === undefined || rest.until <= now ? null : rest;
  }

  /** @returns whether that is news */
  failed(calendar: string, problem: string, { now, retryAfter }: { now: number; retryAfter: number | null }): boolean {
    const known = this.#rests.get(calendar);
    // What was asked before it began to rest, and failed as well, is the same failure.
    const failures = (known?.failures ?? 0) + (known !== undefined && known.until > now ? 0 : 1);
    const wait = Math.max(afterFailure(this.#pace, failures), retryAfter ?? 0);
    this.#rests.set(calendar, { failures, until: now + wait, problem });
    return known === undefined;
  }

  /** @returns whether that is news */
  answered(calendar: string): boolean {
    return this.#rests.delete(calendar);
  }
}
