// What Prometheus gets: what this process did, and where the whole service stands.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ANCHOR_STATUSES } from '../anchor/kind.ts';
import { showsClocksBehind } from '../clock/reports.ts';
import type { LaneDepth } from '../queue/wakeup.ts';
import type { WitnessState } from '../witness/witnesses.ts';
import { type ClockState, timesAhead } from './clocks.ts';
import type { QueueState } from './queue-state.ts';
import type { OperationState } from './state.ts';

/** Seconds: a commit takes a few milliseconds with fsync on a good disk. */
const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15];

/** Of the process: the same for all services in it, and observed once. */
let processRegistry: Registry | null = null;

/** What the scrape is made of; null: it could not be read. */
export interface Scraped {
  readonly state: OperationState | null;
  readonly lanes: ReadonlyMap<string, LaneDepth> | null;
  readonly queue: QueueState | null;
  readonly witnesses: WitnessState | null;
  /** As `OperationOptions` has them. */
  readonly roundInterval: number;
  readonly usualDelays: ReadonlyMap<string, number>;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #commits: Histogram;
  readonly #committed: Counter;
  readonly #refused: Counter;
  readonly #setAside: Counter;
  readonly #digestOnly: Counter;
  readonly #sourceRequests: Counter;
  readonly #answers: Map<string, { inc(): void }>;
  readonly #gauges = new Map<string, Gauge>();

  constructor() {
    if (processRegistry === null) {
      processRegistry = new Registry();
      collectDefaultMetrics({ register: processRegistry });
    }
    const registers = [this.#registry];
    this.#commits = new Histogram({
      name: 'antequem_commit_seconds',
      help: 'Time of the transactions that append entries, by this process.',
      buckets: BUCKETS,
      registers,
    });
    this.#committed = new Counter({
      name: 'antequem_committed_entries_total',
      help: 'Entries that clients were told are durable, by this process; repeats of a request count again.',
      registers,
    });
    this.#refused = new Counter({
      name: 'antequem_refused_requests_total',
      help: 'Requests to append that this process refused, by way in and code of the problem.',
      labelNames: ['way', 'code'],
      registers,
    });
    this.#setAside = new Counter({
      name: 'antequem_set_aside_total',
      help: 'Items that this process logged as they came, since they could not be made canonical, by way in and reason.',
      labelNames: ['way', 'reason'],
      registers,
    });
    this.#digestOnly = new Counter({
      name: 'antequem_digest_only_entries_total',
      help: 'Lines and events larger than an entry that this process logged by digest alone, by way in.',
      labelNames: ['way'],
      registers,
    });
    this.#sourceRequests = new Counter({
      name: 'antequem_source_requests_total',
      help: 'Requests to sources that this process took, by outcome: logged, repeated, answered, or why the signature was refused.',
      labelNames: ['source', 'outcome'],
      registers,
    });
    const answers = new Counter({
      name: 'antequem_http_requests_total',
      help: 'Requests that this process answered, by class of status.',
      labelNames: ['status'],
      registers,
    });
    const classes = ['1xx', '2xx', '3xx', '4xx', '5xx'];
    this.#answers = new Map(classes.map((status) => [status, answers.labels({ status })]));
  }

  /** A transaction that appended. */
  committed(entries: number, milliseconds: number): void {
    this.#commits.observe(milliseconds / 1_000);
    this.#committed.inc(entries);
  }

  answered(status: number): void {
    this.#answers.get(`${Math.floor(status / 100)}xx`)?.inc();
  }

  /** @param way in, as api/arrival.ts names it */
  refused(way: string, code: string): void {
    this.#refused.inc({ way, code });
  }

  setAside(way: string, reason: string, items: number): void {
    this.#setAside.inc({ way, reason }, items);
  }

  digestOnly(way: string, entries: number): void {
    this.#digestOnly.inc({ way }, entries);
  }

  /** @param source its name. @param outcome what became of a request, or the code that refused its signature */
  sourceRequest(source: string, outcome: string): void {
    this.#sourceRequests.inc({ source, outcome });
  }

  /**
   * All of it, in the text format. What could not be read is left out, not guessed.
   * @param now milliseconds since the Unix epoch
   */
  async text(scraped: Scraped, now: number): Promise<string> {
    const { state, lanes, queue, witnesses, roundInterval, usualDelays } = scraped;
    for (const gauge of this.#gauges.values()) gauge.reset();
    this.#set('antequem_round_interval_seconds', 'How often a round is closed, as configured.', roundInterval / 1_000);
    for (const [target, delay] of usualDelays) {
      const help = 'How long a round usually takes to be final with a target.';
      this.#set('antequem_anchor_usual_seconds', help, delay / 1_000, { target });
    }
    this.#set('antequem_database_up', 'Whether the database tells where the service stands.', state === null ? 0 : 1);
    if (state !== null) this.#setState(state, now);
    const queueUp = lanes !== null && queue !== null && queue.problem === null;
    this.#set('antequem_queue_up', 'Whether the queue answers and can keep wake-ups.', queueUp ? 1 : 0);
    if (queue !== null && queue.sinceRun !== null) {
      this.#set(
        'antequem_schedule_age_seconds',
        'Since the schedule for closing rounds last woke a worker.',
        queue.sinceRun / 1_000,
      );
    }
    for (const [lane, depth] of lanes ?? []) {
      for (const [jobs, count] of Object.entries(depth)) {
        this.#set('antequem_queue_jobs', 'Wake-ups in the queue.', count, { lane, state: jobs });
      }
    }
    if (witnesses !== null) this.#setWitnesses(witnesses);
    const parts = [this.#registry, ...(processRegistry === null ? [] : [processRegistry])];
    return (await Promise.all(parts.map((part) => part.metrics()))).join('\n');
  }

  #setState(state: OperationState, now: number): void {
    const { entries, unanchored, unroundedSince, round, targets, kinds, webhooks, databaseTime } = state;
    // Negative where a clock was ahead.
    const age = (since: number | null): number => (since === null ? 0 : (now - since) / 1_000);
    this.#setClocks(state);
    this.#set(
      'antequem_clock_skew_seconds',
      'Clock of this process against that of the database.',
      (now - databaseTime) / 1_000,
    );
    this.#set('antequem_entries', 'Entries of all logs.', entries);
    this.#set('antequem_unanchored_entries', 'Entries that no final anchor covers.', unanchored.entries);
    this.#set(
      'antequem_unanchored_oldest_seconds',
      'Age of the oldest of them; 0 without any.',
      age(unanchored.oldest),
    );
    this.#set(
      'antequem_unrounded_oldest_seconds',
      'Age of the oldest entry that is in no round yet; 0 without any.',
      age(unroundedSince),
    );
    if (round !== null) {
      this.#set('antequem_rounds', 'Number of the newest round.', round.number);
      this.#set('antequem_round_age_seconds', 'Since the newest round was closed.', age(round.closedAt));
    }
    for (const { name: target, stopped, anchors, oldest, reorganisations } of targets) {
      this.#set('antequem_target_stopped', 'Whether a target waits for the operator.', stopped === null ? 0 : 1, {
        target,
      });
      for (const status of ANCHOR_STATUSES) {
        this.#set('antequem_anchors', 'Rounds of a target by how far they are.', anchors[status], { target, status });
      }
      this.#set(
        'antequem_anchor_oldest_seconds',
        'Since the oldest round was closed that is not final with a target; 0 without any.',
        age(oldest?.closedAt ?? null),
        { target },
      );
      this.#set('antequem_reorganisations', 'Anchors that were in a block that is gone.', reorganisations, { target });
    }
    for (const { gauges } of kinds) {
      for (const { name, help, labels, value } of gauges) {
        this.#set(name, help, typeof value === 'number' ? value : age(value.since), labels);
      }
    }
    const { retention } = state;
    this.#set('antequem_retention_logs', 'Logs that keep their entries for a time.', retention.logs);
    this.#set(
      'antequem_retention_overdue_seconds',
      'How long entries are due that are neither erased nor held; 0 without any.',
      age(retention.overdue),
    );
    this.#set('antequem_holds', 'Legal holds.', retention.holds);
    this.#set(
      'antequem_holds_unconfirmed',
      'Whether nothing is erased until the holds are confirmed.',
      retention.unconfirmed === null ? 0 : 1,
    );
    for (const { source, failures } of state.pulled) {
      this.#set('antequem_pull_failures', 'How often in a row a source could not be fetched from.', failures, {
        source,
      });
    }
    for (const { archive, round, passedAt, problem } of state.archives) {
      const labels = { archive };
      const failing = 'Since when an archive is not up to date; 0: it is.';
      this.#set('antequem_archive_failing_seconds', failing, age(problem?.since ?? null), labels);
      const passed = 'Since everything old enough was in an archive; 0: it never was.';
      this.#set('antequem_archive_passed_seconds', passed, age(passedAt), labels);
      if (archive === 'public') {
        this.#set('antequem_archive_round', 'The newest round in the public archive.', round);
      }
    }
    this.#set('antequem_webhooks', 'Webhooks by state.', webhooks.webhooks - webhooks.disabled, { state: 'active' });
    this.#set('antequem_webhooks', 'Webhooks by state.', webhooks.disabled, { state: 'disabled' });
    this.#set('antequem_webhook_deliveries', 'Deliveries that wait or were given up.', webhooks.pending, {
      state: 'pending',
    });
    this.#set('antequem_webhook_deliveries', 'Deliveries that wait or were given up.', webhooks.dead, {
      state: 'dead',
    });
    this.#set(
      'antequem_webhook_oldest_seconds',
      'How long the oldest delivery waits; 0 without any.',
      age(webhooks.oldest),
    );
  }

  #setClocks(state: ClockState): void {
    const ahead = timesAhead(state);
    if (ahead !== null) {
      this.#set(
        'antequem_times_ahead_seconds',
        'How far the newest time of an entry or a round lies in the future; negative: it does not.',
        ahead / 1_000,
      );
    }
    for (const report of state.clocks) {
      if (report.kind === 'chain') {
        const labels = { target: report.subject, chain: report.chain };
        const help = 'Whether the newest final block of a chain shows that our clocks are behind.';
        this.#set('antequem_chain_shows_clocks_behind', help, showsClocksBehind(report) ? 1 : 0, labels);
        this.#set(
          'antequem_chain_ahead_seconds',
          'The newest final block of a chain against the clock of the database; as a rule it is behind.',
          report.ahead / 1_000,
          labels,
        );
        continue;
      }
      const labels = { process: report.subject };
      this.#set(
        'antequem_process_clock_ahead_seconds',
        'Clock of each process against that of the database.',
        report.ahead / 1_000,
        labels,
      );
      this.#set(
        'antequem_process_clock_held',
        'Whether a process does not believe its wall clock, which jumped ahead.',
        report.held ? 1 : 0,
        labels,
      );
      this.#set(
        'antequem_process_clock_jump_seconds',
        'By how much the wall clock of a process has jumped within ten minutes; 0: it has not.',
        (report.jumped ?? 0) / 1_000,
        labels,
      );
    }
  }

  #setWitnesses({ problems, quorumMissing }: WitnessState): void {
    const help = 'Logs that a witness does not cosign or shows another history of, by why.';
    const groups = Map.groupBy(problems, ({ witness, code }) => `${code} ${witness}`);
    for (const [first, ...rest] of groups.values()) {
      if (first === undefined) continue;
      const { witness, code } = first;
      this.#set('antequem_witness_problems', help, 1 + rest.length, { witness, code });
    }
    this.#set(
      'antequem_witness_quorum_missing',
      'Logs whose newest checkpoint lacks the cosignatures that the policy asks for, a minute after it was signed.',
      quorumMissing,
    );
  }

  #set(name: string, help: string, value: number, labels: Readonly<Record<string, string>> = {}): void {
    let gauge = this.#gauges.get(name);
    if (gauge === undefined) {
      gauge = new Gauge({ name, help, labelNames: Object.keys(labels), registers: [this.#registry] });
      this.#gauges.set(name, gauge);
    }
    gauge.set(labels, value);
  }
}
