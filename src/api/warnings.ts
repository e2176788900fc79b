import type { Logger } from 'pino';
import { LruCache } from '../core/lru.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Arrival } from './arrival.ts';
import type { Ingestion } from './event-commits.ts';

const INTERVAL_MS = 10_000;
const MAX_SUBJECTS = 1_000;

/** What a sender can cause as often as it likes: one line of a subject in ten seconds, with how many were left out. */
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
    this.#tell('warn', subject, fields, message);
  }

  /** @param subject what counts as the same error */
  error(subject: string, fields: object, message: string): void {
    this.#tell('error', subject, fields, message);
  }

  #tell(level: 'warn' | 'error', subject: string, fields: object, message: string): void {
    const now = this.#now();
    const last = this.#told.get(subject);
    if (last !== undefined && now - last.at < INTERVAL_MS) {
      last.omitted++;
      return;
    }
    const omitted = last?.omitted ?? 0;
    this.#told.set(subject, { at: now, omitted: 0 });
    this.#logger[level]({ ...fields, ...(omitted === 0 ? {} : { omitted }) }, message);
  }
}

/** Counts and warns of what an operator should know of the events of a request. */
export function tellIngestion(
  { index, conflicting, setAside, digestOnly }: Ingestion,
  { way, log, key }: Pick<Arrival, 'way' | 'log' | 'key'>,
  metrics: Metrics,
  warnings: Warnings,
): void {
  if (conflicting > 0) {
    const says = 'events came with other content under ids that the log knew';
    warnings.warn(`conflicting ${way} ${log} ${key ?? ''}`, { way, log, key, conflicting, index }, says);
  }
  for (const [reason, items] of setAside) {
    metrics.setAside(way, reason, items);
    const says = 'items that could not be made canonical were set aside: they are logged as they came';
    warnings.warn(`set aside ${way} ${log} ${key ?? ''} ${reason}`, { way, log, key, reason, items, index }, says);
  }
  if (digestOnly > 0) {
    metrics.digestOnly(way, digestOnly);
    const says = 'events larger than an entry were logged by digest alone';
    warnings.warn(`digest only ${way} ${log} ${key ?? ''}`, { way, log, key, digestOnly, index }, says);
  }
}
