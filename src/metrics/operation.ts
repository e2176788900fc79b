// What operators and load balancers ask of a process.

import { ROUNDS_LANE, targetLane } from '../anchor/jobs.ts';
import type { AnchorKinds } from '../anchor/kind.ts';
import type { TimeSource } from '../clock/clock.ts';
import { AntequemError } from '../core/errors.ts';
import { within } from '../core/time-limit.ts';
import type { Guard } from '../log/guard.ts';
import type { Queue } from '../queue/queue.ts';
import type { LaneDepth } from '../queue/wakeup.ts';
import type { Database } from '../store/database.ts';
import { WEBHOOKS_LANE } from '../webhooks/worker.ts';
import type { WitnessState } from '../witness/witnesses.ts';
import { clockNotices, clockState } from './clocks.ts';
import { Metrics } from './metrics.ts';
import { type QueueState, queueFault, readQueueState } from './queue-state.ts';
import { newerNotice, type Probe, probeDatabase, refusalOf, stateNotices, witnessNotices } from './readiness.ts';
import { type OperationState, readState } from './state.ts';

export interface OperationOptions {
  readonly database: Database;
  readonly kinds: AnchorKinds;
  readonly queue: Pick<Queue, 'depth' | 'health' | 'nextRun'>;
  /** Milliseconds between two looks whether a round is due. */
  readonly roundInterval: number;
  /** Milliseconds from the close of a round until it is usually final, by target; targets that never are so are left out. */
  readonly usualDelays?: ReadonlyMap<string, number>;
  readonly guard: Guard;
  readonly time: TimeSource;
  /** How the logs fare with witnesses; null: none are configured. */
  readonly witnesses?: (() => Promise<WitnessState>) | null;
  /** What the configuration gives reason to say. */
  readonly notices: () => readonly string[];
  /** Fires when the process is told to stop. */
  readonly stopping: AbortSignal;
  /** Milliseconds that what scrapes and probes ask for is kept. Default 10,000. */
  readonly kept?: number;
}

export interface Readiness {
  /** Why requests would fail; null: they would not. */
  readonly refusal: AntequemError | null;
  readonly notices: readonly string[];
  readonly checks: Readonly<Record<string, string>>;
}

const KEPT = 10_000;
const PATIENCE = 5_000;
/** Milliseconds: a database that takes longer counts as unavailable. */
const PROBE_PATIENCE = 3_000;
/** Milliseconds that a probe waits for what is no reason to fail. */
const NOTICE_PATIENCE = 1_000;

export class Operation {
  readonly metrics = new Metrics();
  readonly #options: OperationOptions;
  readonly #state: Cached<OperationState>;
  readonly #lanes: Cached<ReadonlyMap<string, LaneDepth>>;
  readonly #queue: Cached<QueueState>;
  readonly #guardStore: Cached<boolean>;
  readonly #witnesses: Cached<WitnessState>;
  readonly #probe: Cached<Probe>;
  readonly #since = performance.now();

  constructor(options: OperationOptions) {
    const { database, kinds, queue, guard, time, witnesses = null, kept = KEPT } = options;
    this.#options = options;
    const patience = PATIENCE;
    this.#state = new Cached(() => readState(kinds, database, time.now()), { kept, patience });
    this.#lanes = new Cached(
      async () => {
        const targets = (await this.#state.get())?.targets ?? [];
        const names = targets.map(({ name }) => targetLane(name));
        const depth = await queue.depth([ROUNDS_LANE, ...names, WEBHOOKS_LANE]);
        if (depth === null) throw new AntequemError('queue-silent', 'the queue does not answer');
        return depth;
      },
      { kept, patience },
    );
    this.#queue = new Cached(() => readQueueState(database, queue), { kept, patience });
    this.#guardStore = new Cached(
      async () => {
        await guard.store?.read([guard.rounds]);
        return true;
      },
      { kept, patience },
    );
    const noWitnesses = async (): Promise<WitnessState> => ({ problems: [], quorumMissing: 0 });
    this.#witnesses = new Cached(witnesses ?? noWitnesses, { kept, patience });
    // Never old: those who ask at the same time share an answer, no more.
    this.#probe = new Cached(() => probeDatabase(database, time), { kept: 0, patience: PROBE_PATIENCE });
  }

  /** For Prometheus, in its text format. Never throws. */
  async scrape(): Promise<string> {
    const [state, lanes, queue, witnesses] = await Promise.all([
      this.#state.get(),
      this.#lanes.get(),
      this.#queue.get(),
      this.#witnesses.get(),
    ]);
    const { roundInterval, usualDelays = new Map(), time } = this.#options;
    return this.metrics.text({ state, lanes, queue, witnesses, roundInterval, usualDelays }, time.now());
  }

  /** Never throws. */
  async readiness(): Promise<Readiness> {
    const { stopping, guard, notices: configured, roundInterval } = this.#options;
    if (stopping.aborted) {
      const refusal = new AntequemError('draining', 'this process is about to stop: ask another one');
      return { refusal, notices: [], checks: {} };
    }
    const probe = await this.#probe.get();
    if (probe === null) {
      const says = `the database has failed, or not answered for ${PROBE_PATIENCE} ms`;
      return { refusal: new AntequemError('database-unavailable', says), notices: [], checks: {} };
    }
    const [state, lanes, queue, store, witnesses, refusal, newer] = await Promise.all([
      this.#state.get(NOTICE_PATIENCE),
      this.#lanes.get(NOTICE_PATIENCE),
      this.#queue.get(NOTICE_PATIENCE),
      this.#guardStore.get(NOTICE_PATIENCE),
      this.#witnesses.get(NOTICE_PATIENCE),
      refusalOf(probe),
      newerNotice(probe),
    ]);
    const silent = { check: 'silent', notice: 'the queue does not answer: rounds are closed and anchored late' };
    const fault =
      lanes === null || queue === null ? silent : queueFault(queue, roundInterval, performance.now() - this.#since);
    const stopped = state?.targets.some((target) => target.stopped !== null) ?? false;
    return {
      refusal,
      notices: [
        ...configured(),
        ...newer,
        ...(store === null ? ['what is published cannot be recorded now, so no new checkpoint is signed'] : []),
        ...(fault === null ? [] : [fault.notice]),
        ...(queue?.notices ?? []),
        ...(state === null ? [] : [...clockNotices(state), ...stateNotices(state)]),
        ...(witnesses === null ? [] : witnessNotices(witnesses)),
      ],
      checks: {
        database: 'ok',
        migrations: newer.length === 0 ? 'ok' : 'newer',
        clock: refusal?.code === 'clock-skew' ? 'skewed' : clockState(state),
        published: guard.rollback.finding !== null ? 'set back' : guardState(guard, store),
        queue: fault?.check ?? 'ok',
        targets: state === null ? 'unknown' : stopped ? 'stopped' : 'ok',
      },
    };
  }
}

function guardState(guard: Guard, answered: boolean | null): string {
  if (guard.store === null) return 'not recorded';
  if (answered === null) return 'silent';
  return guard.notices().length > 0 ? 'incomplete' : 'ok';
}

/**
 * A value that is read at most once in so many milliseconds, by one reader at a time: whoever asks often costs no more than
 * whoever asks seldom. One that is slow is still there for the next.
 */
export class Cached<T> {
  readonly #read: () => Promise<T>;
  readonly #kept: number;
  readonly #patience: number;
  readonly #clock: () => number;
  #last: { readonly value: T; readonly at: number } | null = null;
  #reading: Promise<T> | null = null;

  /** @param clock milliseconds that only grow */
  constructor(
    read: () => Promise<T>,
    { kept, patience, clock = () => performance.now() }: { kept: number; patience: number; clock?: () => number },
  ) {
    this.#read = read;
    this.#kept = kept;
    this.#patience = patience;
    this.#clock = clock;
  }

  /** The value, at most so old, or null where it takes longer than `patience` milliseconds or fails. Never throws. */
  async get(patience = this.#patience): Promise<T | null> {
    if (this.#last !== null && this.#clock() - this.#last.at < this.#kept) return this.#last.value;
    this.#reading ??= this.#read()
      .then((value) => {
        this.#last = { value, at: this.#clock() };
        return value;
      })
      .finally(() => {
        this.#reading = null;
      });
    const reading = this.#reading.catch(() => null);
    return within(patience, reading, () => null);
  }
}
