// Whether requests would succeed here, and what an operator should know although they would.

import { askAheadOfDatabase, type TimeSource } from '../clock/clock.ts';
import { AntequemError } from '../core/errors.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import { askNewSession, type Database, type Queryable } from '../store/database.ts';
import { migrationNames } from '../store/migrate.ts';
import { problemSource, WITNESS_PROBLEM_CODES, type WitnessProblem } from '../witness/problems.ts';
import type { WitnessState } from '../witness/witnesses.ts';
import type { OperationState } from './state.ts';

/** What the database says of itself. */
export interface Probe {
  /** Milliseconds that our clock is ahead of the database's. */
  readonly ahead: number;
  readonly migrations: readonly string[];
  /** Whether it takes no writes. */
  readonly readOnly: boolean;
}

/** A session of before may know no better than that the database takes no writes: a new one is asked then. */
export async function probeDatabase(database: Database, time: TimeSource): Promise<Probe> {
  const probe = await probeSession(database, time);
  if (!probe.readOnly) return probe;
  const renewed = await askNewSession(
    database,
    (session) => probeSession(session, time),
    ({ readOnly }) => !readOnly,
  );
  return renewed ?? probe;
}

async function probeSession(database: Queryable, time: TimeSource): Promise<Probe> {
  let migrations: readonly string[] = [];
  let readOnly = false;
  const ahead = await askAheadOfDatabase(time, async () => {
    const { rows } = await database.query<{ now: number; migrations: string[]; read_only: string }>(
      `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
              (SELECT array_agg(name ORDER BY name) FROM migrations) AS migrations,
              current_setting('transaction_read_only') AS read_only`,
    );
    const [row] = rows;
    migrations = row?.migrations ?? [];
    readOnly = row?.read_only === 'on';
    return row?.now ?? 0;
  });
  return { ahead, migrations, readOnly };
}

/**
 * What of the probe makes requests fail; null: nothing.
 * @returns AntequemError `clock-skew`, `schema-older`, `database-read-only`
 */
export async function refusalOf({ ahead, migrations, readOnly }: Probe): Promise<AntequemError | null> {
  const missing = (await migrationNames()).filter((name) => !migrations.includes(name));
  if (missing.length > 0) {
    return new AntequemError(
      'schema-older',
      `the database lacks ${missing.length} migration(s) of this release: start a process of it anew`,
    );
  }
  if (readOnly) {
    return new AntequemError('database-read-only', 'the database takes no writes: it is a replica, or was told so');
  }
  if (Math.abs(ahead) <= MAX_CLOCK_SKEW_MS) return null;
  return new AntequemError(
    'clock-skew',
    `the clocks of service and database are ${Math.round(Math.abs(ahead) / 1_000)} s apart, so nothing is appended`,
  );
}

/** Whether another release has been at the database. */
export async function newerNotice({ migrations }: Probe): Promise<string[]> {
  const known = new Set(await migrationNames());
  const newer = migrations.filter((name) => !known.has(name));
  return newer.length === 0 ? [] : ['a newer release has migrated the database: replace this process by one of it'];
}

/** What the state of the whole service gives reason to say. No amounts: this is told without a key. */
export function stateNotices(state: OperationState): string[] {
  const { targets, kinds, webhooks, archives } = state;
  return [
    ...targets.flatMap(({ name, stopped }) =>
      stopped === null ? [] : [`the target ${name} is stopped (${stopped.code}): antequem anchors`],
    ),
    ...kinds.flatMap(({ notices }) => notices),
    ...archives.flatMap(({ archive, problem }) =>
      problem === null ? [] : [`the ${archive} archive is not up to date (${problem.code}): antequem archive status`],
    ),
    ...(webhooks.dead === 0
      ? []
      : [`${webhooks.dead} webhook deliveries were given up: antequem webhooks list, and replay`]),
    ...(webhooks.disabled === 0 ? [] : [`${webhooks.disabled} webhooks are disabled: their receivers are gone`]),
  ];
}

const MOST_WITNESS_NOTICES = 20;

/** What keeps witnesses from cosigning, and what they show that is wrong. Forks come first. */
export function witnessNotices({ problems, quorumMissing }: WitnessState): string[] {
  const severity = ({ code }: WitnessProblem): number => WITNESS_PROBLEM_CODES.indexOf(code);
  const sorted = problems.toSorted((a, b) => severity(a) - severity(b));
  const left = problems.length - MOST_WITNESS_NOTICES;
  return [
    ...sorted
      .slice(0, MOST_WITNESS_NOTICES)
      .map(({ witness, log, code, says }) =>
        problemSource(code) === 'shown'
          ? `the witness ${witness} contradicts ${log}: ${says}`
          : `the witness ${witness} does not cosign ${log}: ${says}`,
      ),
    ...(left > 0 ? [`witnesses have problems with ${left} more logs: see the metric antequem_witness_problems`] : []),
    ...(quorumMissing > 0
      ? [`the newest checkpoint of ${quorumMissing} logs lacks the cosignatures that the witness policy asks for`]
      : []),
  ];
}
