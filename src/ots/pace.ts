// When to try again. All times are milliseconds.

export interface Pace {
  /** For each request to a calendar. */
  readonly timeout: number;
  /** How long a claimed request belongs to its process, which may ask at two addresses. */
  readonly lease: number;
  /** After failures: the first wait, doubled each time, up to the longest. */
  readonly retry: { readonly first: number; readonly most: number };
  /** While a calendar has nothing new: the first wait, half as long again each time, up to the longest. */
  readonly upgrade: { readonly first: number; readonly most: number };
  /** How long a claimed look-up of a block belongs to its process. */
  readonly lookup: number;
  /** Between looks at a block that is not deep enough or not there. */
  readonly confirm: number;
  /** Between looks at a confirmed block, until it is buried. */
  readonly watch: number;
}

/** For Bitcoin: a block takes ten minutes, a calendar's transaction some hours. */
export const UNHURRIED: Pace = {
  timeout: 10_000,
  lease: 25_000,
  retry: { first: 5_000, most: 600_000 },
  upgrade: { first: 300_000, most: 3_600_000 },
  lookup: 60_000,
  confirm: 60_000,
  watch: 600_000,
};

/** For a chain on the same machine that mines every few seconds. */
export const QUICK: Pace = {
  timeout: 2_000,
  lease: 5_000,
  retry: { first: 500, most: 3_000 },
  upgrade: { first: 1_000, most: 3_000 },
  lookup: 10_000,
  confirm: 1_000,
  watch: 5_000,
};

/** @param attempt from 1 */
export function afterFailure({ retry }: Pace, attempt: number): number {
  return Math.min(retry.first * 2 ** Math.min(attempt - 1, 30), retry.most);
}

/** @param attempt from 1 */
export function untilUpgrade({ upgrade }: Pace, attempt: number): number {
  return Math.round(Math.min(upgrade.first * 1.5 ** Math.min(attempt - 1, 30), upgrade.most));
}

/** Milliseconds: what a calendar may ask for at the most, and a minute for clocks that differ. */
const LONGEST_REST_MS = 3_660_000;

interface Rest {
  readonly failures: number;
  /** Milliseconds since the Unix epoch. */
  readonly until: number;
  readonly problem: string;
}

/**
 * Calendars that failed and rest. A calendar that is down rests for all rounds: it must not be asked again for each of
 * them.
 */
export class Rests {
  readonly #pace: Pace;
  readonly #rests = new Map<string, Rest>();

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Until when a calendar rests and why; null: it does not rest. */
  of(calendar: string, now: number): Pick<Rest, 'until' | 'problem'> | null {
    const rest = this.#rests.get(calendar);
    // One that would last longer than any was begun by a clock that was ahead.
    return rest === undefined || rest.until <= now || rest.until > now + LONGEST_REST_MS ? null : rest;
  }

  /** @returns whether this is the first failure since it last answered */
  failed(calendar: string, problem: string, { now, retryAfter }: { now: number; retryAfter: number | null }): boolean {
    const known = this.#rests.get(calendar);
    // A request that was under way when the rest began belongs to the same failure.
    const failures = (known?.failures ?? 0) + (known !== undefined && known.until > now ? 0 : 1);
    const wait = Math.max(afterFailure(this.#pace, failures), retryAfter ?? 0);
    this.#rests.set(calendar, { failures, until: now + wait, problem });
    return known === undefined;
  }

  /** @returns whether it had failed before */
  answered(calendar: string): boolean {
    return this.#rests.delete(calendar);
  }
}
