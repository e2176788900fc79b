// What Prometheus scrapes of services where nothing is wrong: rounds wait for their chains, processes are replaced, scrapes are missed.

/** By series its values, in promtool's form. */
export type Series = Readonly<Record<string, string>>;

/** Minutes between two scrapes. */
const STEP = 4;
const MINUTES = 32 * 60;

/** Of each minute. */
type Course = (minute: number) => number | null;

const constant =
  (value: number): Course =>
  () =>
    value;
/** An age that grows, and falls to its least every so many minutes. */
const age =
  (most: number, least = 0): Course =>
  (minute) =>
    least + ((minute * 60) % (most - least));
/** Grows by so much in a minute. */
const counter =
  (each: number, from = 0): Course =>
  (minute) =>
    from + Math.floor(minute * each);
/** Not scraped from a minute to another. */
const missed =
  (course: Course, from: number, to: number): Course =>
  (minute) =>
    minute >= from && minute < to ? null : course(minute);

const HOUR = 3_600;
/** Twenty minutes in which one service is not scraped. */
const GAP = [1_000, 1_020] as const;

/** Of two processes of one service, by metric with its labels. */
type Courses = Readonly<Record<string, Course>>;

const COMMON: Courses = {
  antequem_database_up: (minute) => (minute === 700 ? 0 : 1),
  antequem_queue_up: (minute) => (minute > 700 && minute < 704 ? 0 : 1),
  antequem_clock_skew_seconds: (minute) => (minute % 7) - 3,
  'antequem_process_clock_ahead_seconds{process="one:1"}': (minute) => (minute % 5) / 10,
  'antequem_process_clock_jump_seconds{process="one:1"}': constant(0),
  antequem_times_ahead_seconds: (minute) => -minute * 60,
  antequem_round_age_seconds: age(20 * HOUR),
  'antequem_webhook_deliveries{state="dead"}': constant(0),
  'antequem_webhook_deliveries{state="pending"}': (minute) => minute % 4,
  antequem_retention_overdue_seconds: (minute) => (minute % 60) * 60,
  antequem_holds_unconfirmed: () => 0,
  'antequem_pull_failures{source="snyk"}': (minute) => (minute % 50 < 5 ? 2 : 0),
  antequem_witness_quorum_missing: (minute) => (minute % 60 < 3 ? 1 : 0),
  'antequem_witness_problems{witness="north",code="witness-unreachable"}': (minute) => (minute % 200 < 10 ? 3 : null),
  'antequem_http_requests_total{status="5xx"}': counter(0.2, 17),
  'antequem_refused_requests_total{way="entries",code="rate-limited"}': counter(3, 9),
  'antequem_refused_requests_total{way="entries",code="forbidden"}': constant(4),
  'antequem_set_aside_total{way="otlp",reason="too-deep"}': constant(2),
  'antequem_commit_seconds_bucket{le="0.02"}': counter(9),
  'antequem_commit_seconds_bucket{le="1"}': counter(10),
  'antequem_commit_seconds_bucket{le="2"}': counter(10),
  'antequem_commit_seconds_bucket{le="+Inf"}': counter(10),
  process_start_time_seconds: constant(-9 * HOUR),
};

const EVERY_MINUTE: Courses = {
  antequem_round_interval_seconds: constant(60),
  antequem_schedule_age_seconds: age(90),
  antequem_unrounded_oldest_seconds: age(75),
};

const ETHEREUM: Courses = {
  'antequem_anchor_usual_seconds{target="main"}': constant(900),
  // Once the chain takes twice as long as usual to call blocks final.
  'antequem_anchor_oldest_seconds{target="main"}': (minute) => (minute * 60) % (minute < 600 ? 1_200 : 2_400),
  'antequem_target_stopped{target="main"}': constant(0),
  // Less than before: a target was removed and made anew.
  'antequem_reorganisations{target="main"}': (minute) => (minute < 400 ? 7 : 3),
  'antequem_balance_low{target="main",chain="eip155:1",address="0xab"}': constant(0),
  'antequem_anchors_without_proof{target="main",chain="eip155:1",code="rpc-failed"}': (minute) =>
    minute % 300 < 40 ? 2 : null,
  'antequem_chain_opaque{target="main",chain="eip155:1"}': constant(0),
  'antequem_chain_shows_clocks_behind{target="main",chain="eip155:1"}': constant(0),
};

const BITCOIN: Courses = {
  'antequem_anchor_usual_seconds{target="bitcoin"}': constant(3 * HOUR),
  // Calendars wait for low fees, and six blocks may take their time.
  'antequem_anchor_oldest_seconds{target="bitcoin"}': age(9 * HOUR),
  'antequem_target_stopped{target="bitcoin"}': constant(0),
  'antequem_reorganisations{target="bitcoin"}': constant(1),
  'antequem_calendar_failing{target="bitcoin",calendar="https://a.example"}': (minute) => (minute % 90 < 5 ? 1 : 0),
  'antequem_authority_failures{target="north"}': (minute) => (minute % 90 < 5 ? 1 : 0),
  'antequem_authority_failing_seconds{target="north"}': (minute) => (minute % 90 < 5 ? 60 * (minute % 90) : 0),
  'antequem_calendar_oldest_seconds{target="bitcoin",calendar="https://a.example"}': age(9 * HOUR),
  // Its headers are ahead by up to two hours.
  'antequem_chain_ahead_seconds{target="bitcoin",chain="bip122:0"}': (minute) => ((minute % 130) - 10) * 60,
  'antequem_chain_shows_clocks_behind{target="bitcoin",chain="bip122:0"}': constant(0),
};

const SERVICES: Readonly<Record<string, Courses>> = {
  both: { ...EVERY_MINUTE, ...ETHEREUM, ...BITCOIN, antequem_unanchored_oldest_seconds: age(2_500) },
  bitcoin: { ...EVERY_MINUTE, ...BITCOIN, antequem_unanchored_oldest_seconds: age(9 * HOUR) },
  // Without a source of Bitcoin's headers proofs are never confirmed: `/readyz` says so.
  unconfirmed: {
    ...EVERY_MINUTE,
    'antequem_anchor_oldest_seconds{target="bitcoin"}': counter(60),
    antequem_unanchored_oldest_seconds: counter(60),
  },
  daily: {
    ...ETHEREUM,
    antequem_round_interval_seconds: constant(24 * HOUR),
    antequem_schedule_age_seconds: age(24 * HOUR),
    antequem_unrounded_oldest_seconds: age(24 * HOUR),
    antequem_unanchored_oldest_seconds: age(25 * HOUR),
  },
};

function withLabels(metric: string, labels: string): string {
  return metric.endsWith('}') ? `${metric.slice(0, -1)},${labels}}` : `${metric}{${labels}}`;
}

/** A day and a half of four services, each of two processes; `step`: minutes between two values. */
export function servicesInOrdinaryOperation(): {
  readonly given: Series;
  readonly step: number;
  readonly minutes: number;
} {
  const given: Record<string, string> = {};
  for (const [job, courses] of Object.entries(SERVICES)) {
    for (const instance of ['one', 'two']) {
      for (const [metric, course] of Object.entries({ ...COMMON, ...courses })) {
        // One process after the other is replaced, and misses a scrape.
        const from = instance === 'one' ? 300 : 304;
        const replaced = missed(job === 'both' ? missed(course, ...GAP) : course, from, from + STEP);
        const values = Array.from({ length: MINUTES / STEP }, (_, i) => replaced(i * STEP) ?? '_');
        given[withLabels(metric, `job="${job}",instance="${instance}"`)] = values.join(' ');
      }
    }
  }
  return { given, step: STEP, minutes: MINUTES - STEP };
}
