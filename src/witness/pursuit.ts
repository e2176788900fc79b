import type { Logger } from 'pino';
import { consistencyRanges } from '../core/merkle.ts';
import { formatSignature } from '../core/note.ts';
import type { Witness } from '../core/policy.ts';
import type { Log } from '../log/log.ts';
import type { Published } from '../log/publish.ts';
import type { TileStore } from '../log/tilestore.ts';
import { Backoff } from './backoff.ts';
import type { Cosignatures } from './cosignatures.ts';
import { type OfferAnswer, offerCheckpoint } from './offer.ts';

/** Attempts at one checkpoint: a witness that others feed meanwhile may answer 409 more than once. */
const ATTEMPTS = 4;
const REQUEST_PATIENCE = 10_000;
/** Milliseconds. */
const SILENT = { first: 1_000, longest: 300_000 };
const REFUSED = { first: 10_000, longest: 3_600_000 };

export interface PursuitOptions {
  readonly cosignatures: Cosignatures;
  readonly tiles: TileStore;
  /** The newest checkpoint of a log that was signed, by whichever process; null: none. */
  readonly newest: (log: Log) => Promise<Published | null>;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** A witness that can be asked. */
export type AskedWitness = Witness & { readonly url: string };

/** Brings the checkpoints of logs to one witness: one at a time for each log, always the newest. */
export class Pursuit {
  readonly witness: AskedWitness;
  readonly #options: PursuitOptions;
  readonly #silence: Backoff;
  readonly #refusals: Backoff;
  readonly #running = new Map<number, { size: number; done: Promise<void> }>();
  /** The newest that anybody waits for, by log. */
  readonly #wanted = new Map<number, Published>();
  readonly #ending = new AbortController();
  #problem: string | null = null;

  constructor(witness: AskedWitness, options: PursuitOptions) {
    this.witness = witness;
    this.#options = options;
    this.#silence = new Backoff(SILENT.first, SILENT.longest, options.now);
    this.#refusals = new Backoff(REFUSED.first, REFUSED.longest, options.now);
  }

  /** What keeps the witness from cosigning, for people; null: nothing. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Whether there is no use in asking it about this log now. */
  rests(log: Log): boolean {
    return this.#ending.signal.aborted || this.#silence.rests('') || this.#refusals.rests(log.origin);
  }

  /** Resolves once the witness has cosigned this checkpoint or a newer one, or has failed to. Never throws. */
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

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#ending.abort();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  async #offer(log: Log, checkpoint: Published): Promise<void> {
    try {
      let old = Math.min(await this.#options.cosignatures.reach(log, this.witness.key), checkpoint.size);
      let offered = checkpoint;
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const answer = await this.#ask(log, old, offered);
        if (answer.kind !== 'conflict') return await this.#settle(log, offered, answer);
        old = answer.size;
        if (old <= offered.size) continue;
        // Another process was ahead, or the witness knows of more than was ever signed here.
        const newer = await this.#options.newest(log);
        if (newer === null || newer.size < old) return this.#ahead(log, old, newer?.size ?? offered.size);
        offered = newer;
      }
      this.#note(log, 'witness-busy', `it answered 409 ${ATTEMPTS} times in a row`);
      this.#refusals.failed(log.origin);
    } catch (error) {
      // The database, most likely: the next look may do better.
      this.#options.logger.warn(
        { err: error, witness: this.witness.name, log: log.name },
        'a checkpoint was not offered',
      );
    }
  }

  async #ask(log: Log, old: number, { size, note }: Published): Promise<OfferAnswer> {
    const ranges = old === 0 || old === size ? [] : consistencyRanges(old, size);
    const path = await this.#options.tiles.ranges(log, ranges, size);
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(REQUEST_PATIENCE)]);
    return offerCheckpoint(this.witness, { old, path, note }, signal);
  }

  async #settle(log: Log, offered: Published, answer: Exclude<OfferAnswer, { kind: 'conflict' }>): Promise<void> {
    const { cosignatures, now, logger } = this.#options;
    const { name, key } = this.witness;
    if (answer.kind === 'cosigned') {
      await cosignatures.add(log, offered.size, { witness: key.publicKey, line: answer.line }, now());
      logger.debug(
        { witness: name, log: log.name, size: offered.size, line: formatSignature(answer.line) },
        'cosigned',
      );
      const failures = this.#silence.succeeded('') + this.#refusals.succeeded(log.origin);
      if (failures > 0) logger.info({ witness: name, log: log.name, failures }, 'the witness cosigns again');
      this.#problem = null;
      return;
    }
    if (this.#ending.signal.aborted) return;
    if (answer.kind === 'refused') {
      this.#refusals.failed(log.origin);
      return this.#note(log, answer.code, answer.says);
    }
    this.#silence.failed('');
    this.#note(log, 'witness-unreachable', answer.says);
  }

  /** What a database that was set back looks like from outside; a witness that lies looks the same. */
  #ahead(log: Log, theirs: number, ours: number): void {
    this.#refusals.failed(log.origin);
    const says = `it has cosigned ${theirs} entries of ${log.origin}, of which ${ours} are published here: look whether the database was set back`;
    this.#note(log, 'witness-ahead', says);
  }

  #note(log: Log, code: string, says: string): void {
    const problem = `the witness ${this.witness.name} does not cosign ${log.origin}: ${says}`;
    // Once, not at every attempt.
    if (problem !== this.#problem)
      this.#options.logger.warn({ code, witness: this.witness.name, log: log.name }, problem);
    this.#problem = problem;
  }
}
