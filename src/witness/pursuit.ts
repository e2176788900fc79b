import type { Logger } from 'pino';
import { LruCache } from '../core/lru.ts';
import { consistencyRanges } from '../core/merkle.ts';
import { formatSignature } from '../core/note.ts';
import type { Witness } from '../core/policy.ts';
import type { Log } from '../log/log.ts';
import type { Published } from '../log/publish.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Cosignatures } from './cosignatures.ts';
import { type OfferAnswer, offerCheckpoint } from './offer.ts';
import type { WitnessProblemCode, WitnessProblems } from './problems.ts';

/** Attempts for one checkpoint: if other processes feed the witness too, it may answer 409 more than once. */
const ATTEMPTS = 4;
const REQUEST_PATIENCE_MS = 10_000;
/** Milliseconds. */
const SILENT = { first: 1_000, longest: 300_000 };
const REFUSED = { first: 10_000, longest: 3_600_000 };
/** Logs for which the last logged problem is remembered. */
const MOST_TOLD = 20_000;

export interface PursuitOptions {
  readonly cosignatures: Cosignatures;
  readonly problems: WitnessProblems;
  readonly tiles: TileStore;
  /** The newest signed checkpoint of a log, from any process; null if there is none. */
  readonly newest: (log: Log) => Promise<Published | null>;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds of a monotonic clock. Default: the clock of the process. */
  readonly monotonic?: () => number;
  readonly logger: Logger;
}

/** A witness with a URL. */
export type AskedWitness = Witness & { readonly url: string };

/**
 * Offers the checkpoints of logs to one witness: one at a time for each log, always the newest. A failure for one log
 * delays only that log; if the witness is unreachable, all logs are delayed.
 */
export class Pursuit {
  readonly witness: AskedWitness;
  readonly #options: PursuitOptions;
  /** Backoff for the witness as a whole. */
  readonly #silence: Backoff;
  /** Backoff for single logs, by origin. */
  readonly #failures: Backoff;
  readonly #refusals: Backoff;
  /** Number of answers of the witness, of any kind. */
  #answered = 0;
  readonly #running = new Map<number, { size: number; done: Promise<void> }>();
  /** The newest checkpoint that a caller waits for, by log. */
  readonly #wanted = new Map<number, Published>();
  readonly #ending = new AbortController();
  /** The last logged problem, by log. */
  readonly #told = new Map<number, string>();

  constructor(witness: AskedWitness, options: PursuitOptions) {
    const { monotonic = () => performance.now() } = options;
    this.witness = witness;
    this.#options = options;
    this.#silence = new Backoff(SILENT.first, SILENT.longest, monotonic);
    this.#failures = new Backoff(SILENT.first, SILENT.longest, monotonic);
    this.#refusals = new Backoff(REFUSED.first, REFUSED.longest, monotonic);
  }

  /** Whether a backoff forbids offers for this log now. */
  rests(log: Log): boolean {
    const { origin } = log;
    return (
      this.#ending.signal.aborted ||
      this.#silence.rests('') ||
      this.#failures.rests(origin) ||
      this.#refusals.rests(origin)
    );
  }

  /** Resolves once the witness has cosigned this checkpoint or a newer one, or the attempt has failed. Never throws. */
  async pursue(log: Log, checkpoint: Published): Promise<void> {
    if ((this.#wanted.get(log.id)?.size ?? -1) < checkpoint.size) this.#wanted.set(log.id, checkpoint);
    for (;;) {
      const running = this.#running.get(log.id);
      if (running === undefined) break;
      await running.done;
      if (running.size >= checkpoint.size) return;
    }
    const wanted = this.#wanted.get(log.id) ?? checkpoint;
    this.#wanted.delete(log.id);
    if (this.rests(log)) return;
    const done = this.#offer(log, wanted).finally(() => this.#running.delete(log.id));
    this.#running.set(log.id, { size: wanted.size, done });
    await done;
  }

  /** Aborts requests in progress. */
  async close(): Promise<void> {
    this.#ending.abort();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  async #offer(log: Log, checkpoint: Published): Promise<void> {
    try {
      let old = Math.min(await this.#options.cosignatures.reach(log, this.witness.key), checkpoint.size);
      let offered = checkpoint;
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const answeredBefore = this.#answered;
        const answer = await this.#ask(log, old, offered);
        if (answer.kind !== 'unreachable') this.#answered++;
        if (answer.kind !== 'conflict') {
          return await this.#settle(log, offered, answer, this.#answered > answeredBefore);
        }
        old = answer.size;
        if (old <= offered.size) continue;
        // Another process was faster, or the witness has cosigned more than the service ever signed.
        const newer = await this.#options.newest(log);
        if (newer === null || newer.size < old) return await this.#ahead(log, old, newer?.size ?? offered.size);
        offered = newer;
      }
      this.#refusals.failed(log.origin);
      await this.#note(log, 'witness-busy', `it answered 409 ${ATTEMPTS} times in a row`);
    } catch (error) {
      // Most likely an error of the database: the next check tries again.
      this.#options.logger.warn(
        { err: error, witness: this.witness.name, log: log.name },
        'a checkpoint was not offered',
      );
    }
  }

  async #ask(log: Log, old: number, { size, note }: Published): Promise<OfferAnswer> {
    const ranges = old === 0 || old === size ? [] : consistencyRanges(old, size);
    const path = await this.#options.tiles.ranges(log, ranges, size);
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(REQUEST_PATIENCE_MS)]);
    return offerCheckpoint(this.witness, { old, size, path, note }, signal);
  }

  /** @param answering whether the witness answered any other request during this one */
  async #settle(
    log: Log,
    offered: Published,
    answer: Exclude<OfferAnswer, { kind: 'conflict' }>,
    answering: boolean,
  ): Promise<void> {
    const { cosignatures, problems, now, logger } = this.#options;
    const { name, key } = this.witness;
    if (answer.kind === 'cosigned') {
      await cosignatures.add(log, offered.size, { witness: key.id, line: answer.line }, now());
      await problems.clear(log, this.witness, 'offer');
      logger.debug(
        { witness: name, log: log.name, size: offered.size, line: formatSignature(answer.line) },
        'cosigned',
      );
      this.#silence.succeeded('');
      const failures = this.#failures.succeeded(log.origin) + this.#refusals.succeeded(log.origin);
      if (failures > 0 || this.#told.delete(log.id)) {
        logger.info({ witness: name, log: log.name, failures }, 'the witness cosigns the log again');
      }
      return;
    }
    if (this.#ending.signal.aborted) return;
    if (answer.kind === 'refused') {
      this.#refusals.failed(log.origin);
      return await this.#note(log, answer.code, answer.says);
    }
    // If the witness hangs on one log but answers for others, only that log is delayed.
    if (answer.kind === 'failed' || answering) this.#failures.failed(log.origin);
    else this.#silence.failed('');
    await this.#note(log, answer.kind === 'failed' ? 'witness-fails' : 'witness-unreachable', answer.says);
  }

  /** Either the database was restored from an old copy, or the witness lies: the service cannot tell which. */
  async #ahead(log: Log, theirs: number, ours: number): Promise<void> {
    this.#refusals.failed(log.origin);
    const says = `it has cosigned ${theirs} entries of ${log.origin}, of which ${ours} are published here: check whether the database was restored from an old copy`;
    await this.#note(log, 'witness-ahead', says);
  }

  async #note(log: Log, code: WitnessProblemCode, says: string): Promise<void> {
    const { problems, now, logger } = this.#options;
    await problems.note(log, this.witness, code, says, now());
    // Logged once, not at every attempt.
    if (this.#told.get(log.id) === says) return;
    if (this.#told.size >= MOST_TOLD) this.#told.clear();
    this.#told.set(log.id, says);
    logger.warn(
      { code, witness: this.witness.name, log: log.name },
      `the witness ${this.witness.name} does not cosign ${log.origin}: ${says}`,
    );
  }
}

/** Exponential backoff: each failure in a row doubles the delay. */
class Backoff {
  readonly #first: number;
  readonly #longest: number;
  readonly #now: () => number;
  readonly #failures = new LruCache<string, { count: number; until: number }>(20_000);

  /** @param first @param longest milliseconds @param now milliseconds of a monotonic clock */
  constructor(first: number, longest: number, now: () => number) {
    this.#first = first;
    this.#longest = longest;
    this.#now = now;
  }

  /** Whether the delay is still running. */
  rests(key: string): boolean {
    return (this.#failures.get(key)?.until ?? 0) > this.#now();
  }

  /** @returns failures in a row, including this one */
  failed(key: string): number {
    const count = (this.#failures.get(key)?.count ?? 0) + 1;
    const delay = Math.min(this.#longest, this.#first * 2 ** Math.min(count - 1, 30));
    this.#failures.set(key, { count, until: this.#now() + delay });
    return count;
  }

  /** @returns failures in a row before this success */
  succeeded(key: string): number {
    const count = this.#failures.get(key)?.count ?? 0;
    this.#failures.delete(key);
    return count;
  }
}
