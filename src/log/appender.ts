import { setImmediate as nextTurn } from 'node:timers/promises';
import { AntequemError, FormatError } from '../core/errors.ts';
import { type Database, transaction } from '../store/database.ts';
import { type Coming, type Continuation, canContinueAhead, continueAhead, continueLog } from './continuation.ts';
import { mergeRuns } from './digest-merging.ts';
import { makeRuns, RUN_DIGESTS } from './digest-runs.ts';
import { KnownLogs } from './known-logs.ts';
import type { Appended, Effects, Log, Logged, Submission } from './log.ts';
import type { AnsweredHeads } from './outside/answered.ts';
import { type Prepared, prepare } from './prepared.ts';
import type { Outcome } from './replay.ts';
import { RollbackState } from './rollback.ts';
import { type Sequencing, sequence } from './sequence.ts';

const GROUP_ENTRIES = 20_000;
const GROUP_BYTES = 16 << 20;
/** Entries that get their places while a commit is under way: those of fewer have them in no time. */
const AHEAD_ENTRIES = 256;
/** Submissions of a group that are many. */
const MANY = 8;
/** How often a commit waits for more at most: the event loop goes round twice each time. */
const MOST_WAITS = 8;
/** Milliseconds that a commit may take before it counts as hung. */
const COMMIT_DEADLINE = 15_000;
/** Milliseconds of a commit after which its log takes no more submissions. */
const STALL = 5_000;
/** Milliseconds between two times that entries of open tiles are forgotten. */
const FORGETTING_PAUSE = 1_000;

export interface AppenderOptions {
  /** The most bytes that may wait; one log may use half of it. Default 128 MiB. */
  readonly maxQueuedBytes?: number;
  /** Milliseconds after which a commit is given up. Default 15,000. */
  readonly commitDeadline?: number;
  /** Records what is answered. Default: none. */
  readonly answered?: AnsweredHeads | null;
}

/** What waits for one log. */
interface Line {
  readonly waiting: Waiting[];
  bytes: number;
  /** The index that what comes next will get unless something comes between; null: it is not known. */
  next: number | null;
  /** When the commit under way began, by the monotonic clock; null: none is. */
  since: number | null;
  /** Of the commit under way; null: its entries have no places yet. */
  coming: Coming | null;
  /** The next commit, where its entries have their places already. */
  ahead: Ahead | null;
}

interface Ahead {
  readonly group: Waiting[];
  readonly continuation: Promise<Continuation | null>;
}

interface Waiting {
  readonly prepared: Prepared;
  readonly bytes: number;
  readonly resolve: (logged: Logged) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Appends by group commit: submissions that arrive during a transaction of their log go into the next one. A promise resolves
 * once its entries are durable, never before.
 */
export class Appender {
  readonly sequencing: Sequencing;
  /** Told after each commit how many entries it brought, and how many milliseconds it took. */
  onCommitted: (entries: number, milliseconds: number) => void = () => {};
  readonly #database: Database;
  readonly #lines = new Map<number, Line>();
  readonly #maxQueuedBytes: number;
  readonly #commitDeadline: number;
  #queuedBytes = 0;
  /** Entries since runs of the digest index were made. */
  #sinceRun = 0;
  /** Whether there may be enough for a run. */
  #isUntidy = false;
  #tidying: Promise<void> | null = null;
  /** Logs that had nothing waiting for a moment since entries were forgotten last. */
  readonly #rested = new Set<number>();
  #forgetting: NodeJS.Timeout | null = null;

  constructor(database: Database, effects: Effects, options: AppenderOptions = {}) {
    this.#database = database;
    this.#maxQueuedBytes = options.maxQueuedBytes ?? 128 << 20;
    this.#commitDeadline = options.commitDeadline ?? COMMIT_DEADLINE;
    this.sequencing = {
      effects,
      logs: new KnownLogs(),
      rollback: new RollbackState(),
      answered: options.answered ?? null,
    };
  }

  /**
   * @throws AntequemError `overloaded` when too much waits already, `database-set-back`, `idempotency-key-reused`,
   *   `idempotency-key-in-flight`, `clock-skew`, or `database-silent` and what the database failed with: then it is
   *   unknown whether the entries were appended
   */
  async append(log: Log, submission: Submission): Promise<Appended> {
    const { appended } = await this.#enqueue(log, submission);
    if (appended === null) throw new AntequemError('internal', 'an append without events came to nothing');
    return appended;
  }

  /**
   * Appends the events that the log does not hold yet, each once, however often it is sent. When this resolves, the log holds
   * all of them durably.
   * @throws AntequemError as `append`
   */
  appendEvents(log: Log, submission: Submission): Promise<Logged> {
    return this.#enqueue(log, submission);
  }

  #enqueue(log: Log, submission: Submission): Promise<Logged> {
    const bytes = submission.drafts.reduce((sum, draft) => sum + 256 + (draft.payload?.length ?? 0), 0);
    const line = this.#lines.get(log.id);
    const refusal = this.refusal(log, bytes);
    if (refusal !== null) return Promise.reject(refusal);
    if (submission.drafts.length === 0) {
      return Promise.reject(new FormatError('batch-empty', 'there is nothing to append'));
    }
    const start = line === undefined ? this.sequencing.logs.sizeOf(log.id) : line.next;
    const next = start === null ? null : start + submission.drafts.length;
    // Where much waits, memory is short.
    const foreseen = this.#queuedBytes + bytes > this.#maxQueuedBytes / 2 ? null : start;
    let prepared: Prepared;
    try {
      prepared = prepare(log, submission, this.sequencing.effects, foreseen);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      const waiting = { prepared, bytes, resolve, reject };
      if (line !== undefined) {
        line.waiting.push(waiting);
        line.bytes += bytes;
        line.next = next;
        this.#placeAhead(log, line);
        return;
      }
      this.#lines.set(log.id, { waiting: [waiting], bytes, next, since: null, coming: null, ahead: null });
      // Deferred, so that other submissions of this turn of the event loop share the first commit.
      setImmediate(() => void this.#drain(log));
    });
  }

  /** Why an append of so many bytes would be refused at once; null: it would not. */
  refusal(log: Log, bytes = 0): AntequemError | null {
    return this.sequencing.rollback.finding ?? this.#excess(this.#lines.get(log.id), bytes);
  }

  /** Why so many more bytes cannot wait; null: they can. A log that hangs must leave room for others. */
  #excess(line: Line | undefined, bytes: number): AntequemError | null {
    const full =
      this.#queuedBytes + bytes > this.#maxQueuedBytes ||
      // A submission is taken alone, however large.
      (line !== undefined && line.bytes > 0 && line.bytes + bytes > this.#maxQueuedBytes / 2);
    const stalled = line !== undefined && line.since !== null && performance.now() - line.since > STALL;
    if (!full && !stalled) return null;
    return new AntequemError('overloaded', 'too much is waiting to be appended: try again in a moment');
  }

  async #drain(log: Log): Promise<void> {
    const line = this.#lines.get(log.id);
    if (line === undefined) return;
    for (let before = 0; line.ahead !== null || line.waiting.length > 0; ) {
      const { ahead } = line;
      line.ahead = null;
      if (ahead === null) await gathered(line.waiting, before);
      const group = ahead?.group ?? takeGroup(line.waiting);
      before = group.length;
      line.since = performance.now();
      try {
        const outcomes = await this.#commit(log, line, group, ahead?.continuation ?? null);
        // The next commit goes out before these answers: the database works while they are written.
        setImmediate(() => {
          for (const [i, waiting] of group.entries()) settle(waiting, outcomes[i]);
        });
      } catch (error) {
        takeBack(line);
        // The next commit would hang, too: all that waits is refused now, which frees its memory.
        if (error instanceof AntequemError && error.code === 'database-silent') group.push(...line.waiting.splice(0));
        for (const waiting of group) waiting.reject(error);
      }
      line.since = null;
      const size = this.sequencing.logs.sizeOf(log.id);
      line.next = size === null ? null : size + entriesAfter(line);
      const bytes = group.reduce((sum, waiting) => sum + waiting.bytes, 0);
      line.bytes -= bytes;
      this.#queuedBytes -= bytes;
    }
    this.#lines.delete(log.id);
    this.#rested.add(log.id);
    this.#forgetting ??= setTimeout(() => this.#forgetOpen(), FORGETTING_PAUSE).unref();
  }

  /** Not at once: under load, too, there are moments in which nothing waits. */
  #forgetOpen(): void {
    this.#forgetting = null;
    for (const log of this.#rested) if (!this.#lines.has(log)) this.sequencing.logs.forgetOpen(log);
    this.#rested.clear();
  }

  async #commit(
    log: Log,
    line: Line,
    group: readonly Waiting[],
    ahead: Promise<Continuation | null> | null,
  ): Promise<readonly Outcome[]> {
    const begin = performance.now();
    const submissions = group.map(({ prepared }) => prepared);
    const continued = await continueLog(this.#database, log, submissions, this.sequencing, {
      deadline: this.#commitDeadline,
      ahead,
      onSent: (coming) => {
        line.coming = coming;
        this.#placeAhead(log, line);
      },
    });
    if (continued === null) takeBack(line);
    line.coming = null;
    const outcomes = continued ?? (await this.#sequence(log, submissions));
    const entries = entriesOf(group);
    this.onCommitted(entries, performance.now() - begin);
    this.#indexed(entries);
    return outcomes;
  }

  /**
   * Gives what waits its places behind the entries of the commit under way, so that the next commit can be sent as soon as that
   * one took place.
   */
  #placeAhead(log: Log, line: Line): void {
    const { waiting } = line;
    const known = line.coming?.known ?? null;
    if (line.coming === null || known === null || line.ahead !== null || entriesOf(waiting) < AHEAD_ENTRIES) return;
    const group = takeGroup(waiting);
    const submissions = group.map(({ prepared }) => prepared);
    if (!canContinueAhead(known, submissions)) {
      waiting.unshift(...group);
      return;
    }
    line.coming.known = null;
    const continuation = continueAhead(log, submissions, known, this.sequencing.effects);
    // The commit meets a failure.
    continuation.catch(() => {});
    line.ahead = { group, continuation };
  }

  async #sequence(log: Log, submissions: Prepared[]): Promise<readonly Outcome[]> {
    const { outcomes, settle } = await transaction(
      this.#database,
      (tx, defer) => sequence(tx, defer, log, submissions, this.sequencing),
      { deadline: this.#commitDeadline },
    );
    await settle();
    return outcomes;
  }

  /** Has the digest index tidied whenever enough was appended. Where that fails the index is slower, and complete. */
  #indexed(entries: number): void {
    this.#sinceRun += entries;
    if (this.#sinceRun < RUN_DIGESTS) return;
    this.#sinceRun = 0;
    this.tidyIndex();
  }

  /** Does what the digest index needs, beside appending. */
  tidyIndex(): void {
    this.#isUntidy = true;
    this.#tidying ??= this.#tidy()
      .catch(() => {})
      .finally(() => {
        this.#tidying = null;
      });
  }

  async #tidy(): Promise<void> {
    while (this.#isUntidy) {
      this.#isUntidy = false;
      await makeRuns(this.#database);
      await mergeRuns(this.#database, { isInterrupted: () => this.#isUntidy });
    }
  }
}

/** Nothing follows the commit under way: entries that have places behind it wait again. */
function takeBack(line: Line): void {
  if (line.ahead !== null) line.waiting.unshift(...line.ahead.group);
  line.ahead = null;
  line.coming = null;
}

const entriesAfter = ({ ahead, waiting }: Line): number => entriesOf(ahead?.group ?? []) + entriesOf(waiting);

function entriesOf(queue: readonly Waiting[]): number {
  return queue.reduce((sum, { prepared }) => sum + prepared.submission.drafts.length, 0);
}

/**
 * Waits until so many submissions have come as half of the group before, or no more come. Where many clients wait for each
 * answer, the next commit would else begin with the few that were not in the last one, and most would wait for it for nothing.
 */
async function gathered(queue: readonly Waiting[], before: number): Promise<void> {
  if (before < MANY) return;
  for (let had = 0, waits = 0; had < queue.length && queue.length < before / 2 && waits < MOST_WAITS; waits++) {
    had = queue.length;
    // The answers of the group before are written in the first turn; what they bring comes in the second.
    await nextTurn();
    await nextTurn();
  }
}

function takeGroup(queue: Waiting[]): Waiting[] {
  let entries = 0;
  let bytes = 0;
  let length = 0;
  for (const waiting of queue) {
    entries += waiting.prepared.submission.drafts.length;
    bytes += waiting.bytes;
    if (length > 0 && (entries > GROUP_ENTRIES || bytes > GROUP_BYTES)) break;
    length++;
  }
  return queue.splice(0, length);
}

function settle(waiting: Waiting, outcome: Outcome | undefined): void {
  if (outcome === undefined) waiting.reject(new AntequemError('internal', 'a submission was given no outcome'));
  else if ('refused' in outcome) waiting.reject(outcome.refused);
  else waiting.resolve(outcome);
}
