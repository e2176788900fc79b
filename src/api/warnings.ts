import type { Logger } from 'pino';
import { LruCache } from '../core/lru.ts';

const INTERVAL_MS = 10_000;
const MAX_SUBJECTS = 1_000;

/** Warnings that a sender can cause as often as it likes: one of a subject in ten seconds, with how many were left out. */
export class Warnings {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #told = new LruCache<string, { at: number; omitted: number }>(MAX_SUBJECTS);

  /** @param now milliseconds by a monotonic clock */
  constructor(logger: Logger, now: () => number) {
    this.#logger = logger;
    this.#now = now;
  }

  /** @param subject what counts as the same warning */
  warn(subject: string, fields: object, message: string): void {
    const now = this.#now();
    const last = this.#told.get(subject);
    if (last !== undefined && now - last.at < INTERVAL_MS) {
      last.omitted++;
      return;
    }
    const omitted = last?.omitted ?? 0;
    this.#told.set(subject, { at: now, omitted: 0 });
    this.#logger.warn({ ...fields, ...(omitted === 0 ? {} : { omitted }) }, message);
  }
}
