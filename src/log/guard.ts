import type { Logger } from 'pino';
import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { EMPTY_ROOT } from '../core/merkle.ts';
import { formatTime } from '../core/time.ts';
import { within } from '../core/time-limit.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { Archives } from './archived-tile.ts';
import { demandUnsigned } from './checkpoint-conflict.ts';
import type { Log, LogHead } from './log.ts';
import { type Loss, largestLosses, type MarkedLog, missingMarks, missingRound, newestRound } from './losses.ts';
import type { AnsweredHeads } from './outside/answered.ts';
import { type Change, type Mark, type PublishedStore, sameMark } from './outside/published.ts';
import { type RollbackState, SET_BACK, setBack } from './rollback.ts';

const PAGE = 1_000;
/** The most logs that a message names; thousands may be affected. */
const NAMED = 3;
const ATTEMPTS = 20;
const STORE_PATIENCE = 5_000;
/** Of what is not in the database at all: no claim. */
const NOTHING: Mark = { size: 0, root: EMPTY_ROOT };

export interface GuardOptions {
  readonly database: Database;
  readonly serviceOrigin: string;
  /** Null: none is configured, and only what was anchored is compared. */
  readonly store: PublishedStore | null;
  /** Records what was answered. Default: none. */
  readonly answered?: AnsweredHeads | null;
  readonly rollback: RollbackState;
  /** What a comparison with an old size may need. Default: none. */
  readonly archives?: Archives;
  readonly logger: Logger;
  /** Milliseconds that the store may take. Default 5,000. */
  readonly storePatience?: number;
}

/**
 * Compares the database with what was published, and records what will be. Marks are set only for durable data, so data that
 * is marked and missing was lost: from then on nothing is appended, signed or sent.
 */
export class Guard {
  readonly store: PublishedStore | null;
  readonly #options: GuardOptions;
  #compared = false;
  #watch: NodeJS.Timeout | null = null;
  #looking = false;
  #told: string | null = null;

  constructor(options: GuardOptions) {
    this.store = options.store;
    this.#options = options;
  }

  get rollback(): RollbackState {
    return this.#options.rollback;
  }

  /** The subject of this service's rounds, beside the origins of logs. No origin has a `#`. */
  get rounds(): string {
    return `${this.#options.serviceOrigin}#rounds`;
  }

  /**
   * Compares durable heads with what was published and records them, before they are signed.
   * @returns whether all are the newest published ones; false where another process has published a larger one
   * @throws AntequemError `database-set-back`, `checkpoint-conflict`, `guard-unavailable`
   */
  async release(db: Queryable, heads: readonly { log: Log; head: LogHead }[]): Promise<boolean> {
    this.rollback.demand();
    if (this.store === null) return true;
    let open = heads;
    let newest = true;
    for (let attempt = 0; open.length > 0; attempt++) {
      if (attempt === ATTEMPTS)
        throw new AntequemError('overloaded', 'too many publish at once: try again in a moment');
      const marks = await this.#ask(this.store.read(open.map(({ log }) => log.origin)));
      const known = open.flatMap(({ log }, i) => {
        const mark = marks[i] ?? null;
        return mark === null ? [] : [{ log, mark, was: 'published' as const }];
      });
      // Read after the marks, whose data was durable before.
      this.#demandNone(await missingMarks(db, known, this.#options.archives));
      await demandUnsigned(
        db,
        open.filter((_, i) => marks[i] === null),
      );
      const changes: (Change & { readonly at: number })[] = [];
      for (const [at, { log, head }] of open.entries()) {
        const from = marks[at] ?? null;
        if (from !== null && from.size > head.size) newest = false;
        else if (!sameMark(from, head)) changes.push({ subject: log.origin, from, to: head, at });
      }
      const set = await this.#ask(this.store.compareAndSet(changes));
      const again = new Set(changes.filter((_, i) => set[i] !== true).map(({ at }) => at));
      open = open.filter((_, at) => again.has(at));
    }
    return newest;
  }

  /**
   * Compares the rounds and records the newest, before a round is closed or sent.
   * @throws AntequemError `database-set-back`, `guard-unavailable`
   */
  async releaseRounds(): Promise<void> {
    const { database } = this.#options;
    this.rollback.demand();
    if (this.store === null) return;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const [from = null] = await this.#ask(this.store.read([this.rounds]));
      const newest = await newestRound(database);
      this.#demandNone(await missingRound(database, this.rounds, from, newest));
      if (newest === null || sameMark(from, newest)) return;
      const [set] = await this.#ask(this.store.compareAndSet([{ subject: this.rounds, from, to: newest }]));
      if (set === true) return;
    }
    throw new AntequemError('overloaded', 'too many close rounds at once: try again in a moment');
  }

  /** All that was published or answered and is missing in the database. @throws AntequemError `guard-unavailable` */
  async losses(): Promise<Loss[]> {
    const { database, serviceOrigin, logger } = this.#options;
    if (this.store === null) return [];
    const marks = await this.#ask(this.store.all());
    const round = marks.get(this.rounds) ?? null;
    const losses = await missingRound(database, this.rounds, round, await newestRound(database));
    const answered = await this.#allAnswered();
    const own = [
      ...[...marks].map(([subject, mark]) => ({ subject, mark, was: 'published' as const })),
      ...[...answered].map(([subject, mark]) => ({ subject, mark, was: 'answered' as const })),
    ].filter(({ subject }) => subject.startsWith(`${serviceOrigin}/logs/`));
    for (let i = 0; i < own.length; i += PAGE) {
      const page = own.slice(i, i + PAGE);
      const { rows } = await database.query<{ id: number; name: string; origin: string }>(
        'SELECT id, name, origin FROM logs WHERE origin = ANY ($1)',
        [page.map(({ subject }) => subject)],
      );
      const logs = new Map(rows.map((row) => [row.origin, row]));
      const claims: MarkedLog[] = [];
      for (const { subject, mark, was } of page) {
        const log = logs.get(subject);
        if (log !== undefined) claims.push({ log, mark, was });
        else if (mark.size > 0) losses.push({ subject, published: mark, was, now: null });
      }
      losses.push(...(await missingMarks(database, claims, this.#options.archives)));
    }
    if (marks.size === 0 && (await database.query('SELECT 1 FROM checkpoints LIMIT 1')).rowCount === 1) {
      logger.warn(`${this.store.name} knows nothing of what was published: it begins with what the database has now`);
    }
    return losses;
  }

  /** Where nothing can be read now, what was published must do. */
  async #allAnswered(): Promise<ReadonlyMap<string, Mark>> {
    const { answered, logger } = this.#options;
    try {
      return answered ? await this.#ask(answered.all()) : new Map();
    } catch (error) {
      logger.warn({ err: error }, 'what was answered cannot be read');
      return new Map();
    }
  }

  /** What an operator should know about the records of what was published and answered. */
  notices(): string[] {
    const { answered } = this.#options;
    const gap = answered?.gap ?? null;
    return [
      ...(this.store?.problem ? [this.store.problem] : []),
      ...(gap === null
        ? []
        : [
            `what was answered since ${formatTime(gap)} is not recorded in ${answered?.name}: a replica that lacks it would not be noticed`,
          ]),
    ];
  }

  /**
   * Replaces the marks by what the database has now; the operator has declared the loss.
   * @throws AntequemError `guard-changed` where another process has set a mark in between, `guard-unavailable`
   */
  async adopt(losses: readonly Loss[]): Promise<void> {
    if (this.store === null || losses.length === 0) return;
    const set = await this.store.compareAndSet(
      losses
        .filter(({ was }) => was === 'published')
        .map(({ subject, published, now }) => ({ subject, from: published, to: now ?? NOTHING })),
    );
    if (!set.every((done) => done)) {
      throw new AntequemError(
        'guard-changed',
        'what was published changed meanwhile: stop the processes of the service, and look again',
      );
    }
    const answered = losses.filter(({ was }) => was === 'answered');
    await this.#options.answered?.replace(new Map(answered.map(({ subject, now }) => [subject, now ?? NOTHING])));
  }

  /** Compares everything, once, and notes what it finds. Throws only what the database throws. */
  async compare(): Promise<void> {
    const { logger } = this.#options;
    try {
      await this.#compareAnchored();
      this.#demandNone(await this.losses());
      this.#compared = true;
    } catch (error) {
      if (!(error instanceof AntequemError)) throw error;
      if (error.code === SET_BACK) return;
      // Nothing is signed until then, and appended entries are durable. The next look tries again.
      logger.warn({ code: error.code }, error.message);
    }
  }

  /** Compares from time to time, so that a database set back under a running service is found soon. */
  watch(period: number): void {
    this.#watch = setInterval(() => void this.#look(), period).unref();
  }

  async close(): Promise<void> {
    if (this.#watch !== null) clearInterval(this.#watch);
    await this.#options.answered?.close();
    await this.store?.close();
  }

  async #look(): Promise<void> {
    if (this.#looking || this.rollback.finding !== null) return;
    this.#looking = true;
    try {
      if (!this.#compared) await this.compare();
      await this.#compareAnchored();
      await this.#compareAnswered();
      await this.releaseRounds();
    } catch {
      // A finding is already noted; after other failures the next look tries again.
    } finally {
      this.#looking = false;
    }
  }

  /** The store's answer. A store that hangs counts as unavailable, so that callers do not wait for it. */
  async #ask<T>(answer: Promise<T>): Promise<T> {
    const patience = this.#options.storePatience ?? STORE_PATIENCE;
    const answered = await within(patience, answer, () => {
      const says = `${this.store?.name} has not answered for ${patience} ms, so nothing is signed until it does`;
      throw new AntequemError('guard-unavailable', says);
    });
    const problem = this.store?.problem ?? null;
    if (problem !== null && problem !== this.#told) this.#options.logger.error(problem);
    this.#told = problem;
    return answered;
  }

  /** Notes that a worker has stopped its target because the chain has rounds that the database lacks. */
  async #compareAnchored(): Promise<void> {
    const { rows } = await this.#options.database.query<{ stop_reason: string }>(
      'SELECT stop_reason FROM targets WHERE stop_code = $1 LIMIT 1',
      [SET_BACK],
    );
    if (rows[0] !== undefined) this.#note(new AntequemError(SET_BACK, rows[0].stop_reason));
  }

  /** Finds logs that are smaller than was answered. The contents of larger ones are compared at a start. */
  async #compareAnswered(): Promise<void> {
    const { database, serviceOrigin } = this.#options;
    const own = [...(await this.#allAnswered())].filter(([origin]) => origin.startsWith(`${serviceOrigin}/logs/`));
    if (own.length === 0) return;
    const { rows } = await database.query<{ origin: string; size: number; root: Uint8Array }>(
      'SELECT origin, size, root FROM log_states WHERE origin = ANY ($1)',
      [own.map(([origin]) => origin)],
    );
    const heads = new Map(rows.map(({ origin, size, root }) => [origin, { size, root: new Uint8Array(root) }]));
    this.#demandNone(
      own.flatMap(([subject, published]) => {
        const now = heads.get(subject) ?? null;
        const held = now !== null && (now.size > published.size || sameMark(now, published));
        return held || published.size === 0 ? [] : [{ subject, published, was: 'answered', now }];
      }),
    );
  }

  #demandNone(found: readonly Loss[]): void {
    const losses = largestLosses(found);
    if (losses.length === 0) return;
    const named = losses.slice(0, NAMED).map(({ subject, published, was, now }) => {
      const had = `${subject} was ${was} at ${published.size} (${toHex(published.root)})`;
      return `${had} and is at ${now === null ? 'nothing' : `${now.size} (${toHex(now.root)})`}`;
    });
    const more = losses.length > NAMED ? `, and ${losses.length - NAMED} more` : '';
    const error = setBack(`${named.join('; ')}${more}`);
    this.#note(error);
    throw error;
  }

  #note(error: AntequemError): void {
    if (this.rollback.finding === null) this.#options.logger.error({ code: error.code }, error.message);
    this.rollback.note();
  }
}
