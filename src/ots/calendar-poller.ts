// Asking calendars: each by itself, a few requests at once, every answer stored before the next question.

import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import { type Storing, storeAnswer } from './answers.ts';
import { type CalendarAnswer, type CalendarClient, CalendarError } from './calendar-client.ts';
import { afterFailure, type Pace, Rests, untilUpgrade } from './pace.ts';
import { claimRequests, postpone, type Request, waitFor } from './requests.ts';

export interface CalendarPollerOptions {
  readonly target: string;
  readonly client: CalendarClient;
  /** Where a calendar is asked to upgrade, by its URI: first there itself, then who else is configured to answer for it. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly database: Database;
  readonly storing: Omit<Storing, 'now'>;
  readonly pace: Pace;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Requests that a calendar gets at once. */
const AT_ONCE = 4;
/** Milliseconds after which a look is ended; what is left is due still. */
const PATIENCE_MS = 10_000;
/** An answer that cannot be stored is asked for once more: so it is tried again at once. */
const STORE_TRIES = 3;

export class CalendarPoller {
  readonly #options: CalendarPollerOptions;
  readonly #rests: Rests;
  /** One after the other: appends want connections to the database, too. */
  #storing: Promise<unknown> = Promise.resolve();

  constructor(options: CalendarPollerOptions) {
    this.#options = options;
    this.#rests = new Rests(options.pace);
  }

  /** Makes the requests for these rounds that are due, to all calendars side by side. Throws what the database throws. */
  async askAll(rounds: readonly number[]): Promise<void> {
    const start = this.#options.now();
    const { calendars } = this.#options.storing;
    const ends = await Promise.allSettled(calendars.map((calendar) => this.#ask(calendar, rounds, start)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async #ask(calendar: string, rounds: readonly number[], start: number): Promise<void> {
    const { target, database, pace, now } = this.#options;
    while (now() < start + PATIENCE_MS) {
      const rest = this.#rests.of(calendar, now());
      if (rest !== null) return waitFor(database, target, { calendar, ...rest });
      const claim = { target, rounds, calendar, most: AT_ONCE, dueAt: start, now: now(), lease: pace.lease };
      const requests = await claimRequests(database, claim);
      if (requests.length === 0) return;
      const ends = await Promise.allSettled(requests.map((request) => this.#make(request)));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    }
  }

  async #make(request: Request): Promise<void> {
    const { client, database, pace, now, logger, target } = this.#options;
    const { kind, calendar, message, attempts } = request;
    let answer: CalendarAnswer | null;
    try {
      answer = kind === 'submit' ? await client.submit(calendar, message) : await this.#upgrade(calendar, message);
    } catch (error) {
      if (!(error instanceof CalendarError)) throw error;
      const { message: problem, retryAfter } = error;
      if (this.#rests.failed(calendar, problem, { now: now(), retryAfter })) logger.warn({ target, calendar }, problem);
      const wait = Math.max(afterFailure(pace, attempts), retryAfter ?? 0);
      return postpone(database, request, { until: now() + wait, problem });
    }
    if (this.#rests.answered(calendar)) logger.info({ target, calendar }, 'the calendar answers again');
    const problem = answer === null ? null : await this.#store(request, answer);
    if (answer !== null && problem === null) return;
    const wait = kind === 'submit' ? afterFailure(pace, attempts) : untilUpgrade(pace, attempts);
    await postpone(database, request, { until: now() + wait, problem });
  }

  async #upgrade(calendar: string, message: Uint8Array): Promise<CalendarAnswer | null> {
    const { client, addresses } = this.#options;
    let failure: unknown;
    for (const address of addresses.get(calendar) ?? []) {
      try {
        return await client.upgrade(address, message);
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }

  #store(request: Request, answer: CalendarAnswer): Promise<string | null> {
    const stored = this.#storing.then(() => this.#tryStoring(request, answer));
    this.#storing = stored.catch(() => {});
    return stored;
  }

  async #tryStoring(request: Request, answer: CalendarAnswer): Promise<string | null> {
    const { database, storing, now } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await storeAnswer(database, request, answer, { ...storing, now: now() });
      } catch (error) {
        if (attempt === STORE_TRIES) throw error;
      }
    }
  }
}
