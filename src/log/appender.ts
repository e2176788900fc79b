import { AntequemError, FormatError } from '../core/errors.ts';
import { type Database, transaction } from '../store/database.ts';
import type { Appended, Effects, Log, Submission } from './log.ts';
import type { Outcome } from './replay.ts';
import { Edges, type Prepared, prepare, type Sequencing, sequence } from './sequence.ts';
import { openSegment, SegmentFull, Stretches } from './stretch.ts';

const GROUP_ENTRIES = 20_000;
const GROUP_BYTES = 16 << 20;

interface Waiting {
  readonly prepared: Prepared;
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Appends by group commit: whatever queued up for a log while its last transaction was under way goes into the next.
 * A promise resolves once its entries are durable, never before.
 */
export class Appender {
  readonly sequencing: Sequencing;
  /** Told after each commit how many entries it brought. */
  onCommitted: (entries: number) => void = () => {};
  readonly #database: Database;
  readonly #queues = new Map<number, Waiting[]>();
  readonly #maxQueuedBytes: number;
  #queuedBytes = 0;

  constructor(database: Database, effects: Effects, options: { maxQueuedBytes?: number } = {}) {
    this.#database = database;
    this.#maxQueuedBytes = options.maxQueuedBytes ?? 128 << 20;
    this.sequencing = { effects, stretches: new Stretches(), edges: new Edges() };
  }

  /**
   * @throws AntequemError `overloaded` when too much waits already, `idempotency-key-reused`, `idempotency-key-in-flight`,
   *   `clock-skew`, or what the database failed with: then it is unknown whether the entries were appended
   */
  append(log: Log, submission: Submission): Promise<Appended> {
    const bytes = submission.drafts.reduce((sum, draft) => sum + 256 + (draft.payload?.length ?? 0), 0);
    if (this.#queuedBytes + bytes > this.#maxQueuedBytes) {
      return Promise.reject(
        new AntequemError('overloaded', 'too much is waiting to be appended: try again in a moment'),
      );
    }
    if (submission.drafts.length === 0) {
      return Promise.reject(new FormatError('batch-empty', 'there is nothing to append'));
    }
    const prepared = prepare(log, submission, this.sequencing.effects);
    this.#queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      const waiting = { prepared, bytes, resolve, reject };
      const queue = this.#queues.get(log.id);
      if (queue !== undefined) {
        queue.push(waiting);
        return;
      }
      this.#queues.set(log.id, [waiting]);
      // Not at once: what else this turn of the event loop brings for the log shares the first commit.
      setImmediate(() => void this.#drain(log));
    });
  }

  async #drain(log: Log): Promise<void> {
    const queue = this.#queues.get(log.id) ?? [];
    while (queue.length > 0) {
      const group = takeGroup(queue);
      try {
        const outcomes = await this.#commit(
          log,
          group.map((waiting) => waiting.prepared),
        );
        for (const [i, waiting] of group.entries()) settle(waiting, outcomes[i]);
      } catch (error) {
        for (const waiting of group) waiting.reject(error);
      }
      for (const waiting of group) this.#queuedBytes -= waiting.bytes;
    }
    this.#queues.delete(log.id);
  }

  async #commit(log: Log, submissions: Prepared[]): Promise<Outcome[]> {
    for (;;) {
      try {
        const { outcomes, settle } = await transaction(this.#database, (tx, defer) =>
          sequence(tx, defer, log, submissions, this.sequencing),
        );
        settle();
        this.onCommitted(submissions.reduce((sum, { submission }) => sum + submission.drafts.length, 0));
        return outcomes;
      } catch (error) {
        if (!(error instanceof SegmentFull)) throw error;
        await openSegment(this.#database);
      }
    }
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
  else waiting.resolve(outcome.appended);
}
