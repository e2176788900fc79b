// Where targets stand, for the operator.

import { spentInADay } from '../evm/budget.ts';
import type { Queryable } from '../store/database.ts';

export const STATUSES = ['pending', 'submitted', 'included', 'finalized'] as const;
export type AnchorStatus = (typeof STATUSES)[number];

export interface TargetReport {
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  readonly type: 'evm' | 'opentimestamps';
  /** Null where it has calendars instead. */
  readonly contract: string | null;
  readonly mode: 'anchor' | 'announce' | null;
  readonly stopped: { readonly code: string; readonly reason: string; readonly at: number } | null;
  readonly anchors: Readonly<Record<AnchorStatus, number>>;
  /** The oldest round that is not final, and when it was closed, milliseconds. */
  readonly oldest: { readonly round: number; readonly closedAt: number } | null;
  /** What stands in the way, and of how many rounds; the most frequent ones. */
  readonly problems: readonly { readonly says: string; readonly rounds: number }[];
  readonly reorganisations: number;
  readonly accounts: readonly AccountReport[];
  /** Those that have something to do yet. */
  readonly calendars: readonly CalendarReport[];
}

export interface CalendarReport {
  /** Its URL. */
  readonly calendar: string;
  /** Rounds whose root it has not answered for. */
  readonly submissions: number;
  /** Promises to know more that it has not kept. */
  readonly upgrades: number;
  /** What was wrong when it was last asked; of several rounds the newest. */
  readonly problem: string | null;
}

export interface AccountReport {
  readonly address: string;
  /** Wei when last looked at, at that time; null: not yet. */
  readonly balance: { readonly wei: bigint; readonly low: boolean; readonly at: number } | null;
  /** Wei that the last 24 hours cost, or may cost. */
  readonly spent: bigint;
}

interface TargetRow {
  name: string;
  kind: 'evm' | 'opentimestamps';
  chain: string;
  contract: string | null;
  mode: 'anchor' | 'announce' | null;
  stopped_at: number | null;
  stop_code: string | null;
  stop_reason: string | null;
  reorganisations: number;
  oldest: number | null;
  closed_at: number | null;
}

const MOST_PROBLEMS = 5;

/** All targets, by name. @param now milliseconds since the Unix epoch */
export async function reportTargets(database: Queryable, now: number): Promise<TargetReport[]> {
  const { rows } = await database.query<TargetRow>(
    `SELECT t.name, t.kind, t.chain, t.contract, t.mode, t.stopped_at, t.stop_code, t.stop_reason, o.oldest, r.closed_at,
            (SELECT count(*) FROM anchor_history h WHERE h.target = t.name AND h.event = 'reorganized') AS reorganisations
     FROM targets t
     CROSS JOIN LATERAL (SELECT min(round) AS oldest FROM anchors WHERE target = t.name AND status <> 'finalized') o
     LEFT JOIN rounds r ON r.number = o.oldest ORDER BY t.name`,
  );
  const [counts, problems, accounts, calendars] = await Promise.all([
    readCounts(database),
    readProblems(database),
    readAccounts(database, now),
    readCalendars(database),
  ]);
  return rows.map((row) => ({
    name: row.name,
    type: row.kind,
    chain: row.chain,
    contract: row.contract,
    mode: row.mode,
    stopped:
      row.stop_code === null || row.stop_reason === null || row.stopped_at === null
        ? null
        : { code: row.stop_code, reason: row.stop_reason, at: row.stopped_at },
    anchors: counts(row.name),
    oldest: row.oldest === null || row.closed_at === null ? null : { round: row.oldest, closedAt: row.closed_at },
    problems: problems.filter(({ target }) => target === row.name).map(({ says, rounds }) => ({ says, rounds })),
    reorganisations: row.reorganisations,
    accounts: accounts.filter(({ target }) => target === row.name).map(({ account }) => account),
    calendars: calendars.filter(({ target }) => target === row.name).map(({ target: _, ...calendar }) => calendar),
  }));
}

async function readCounts(database: Queryable): Promise<(target: string) => Record<AnchorStatus, number>> {
  const { rows } = await database.query<{ target: string; status: AnchorStatus; count: number }>(
    'SELECT target, status, count(*) FROM anchors GROUP BY 1, 2',
  );
  return (target) => {
    const of = (wanted: AnchorStatus): number =>
      rows.find((row) => row.target === target && row.status === wanted)?.count ?? 0;
    return { pending: of('pending'), submitted: of('submitted'), included: of('included'), finalized: of('finalized') };
  };
}

async function readProblems(database: Queryable): Promise<{ target: string; says: string; rounds: number }[]> {
  const { rows } = await database.query<{ target: string; says: string; rounds: number }>(
    `SELECT target, says, rounds FROM (
       SELECT target, problem AS says, count(*) AS rounds,
              row_number() OVER (PARTITION BY target ORDER BY count(*) DESC, problem) AS place
       FROM anchors WHERE status <> 'finalized' AND problem IS NOT NULL GROUP BY 1, 2) p
     WHERE place <= ${MOST_PROBLEMS} ORDER BY target, place`,
  );
  return rows;
}

async function readAccounts(database: Queryable, now: number): Promise<{ target: string; account: AccountReport }[]> {
  const { rows } = await database.query<{
    target: string;
    chain: string;
    address: string;
    balance: string | null;
    balance_low: boolean | null;
    balance_at: number | null;
  }>('SELECT target, chain, address, balance::text, balance_low, balance_at FROM evm_accounts ORDER BY address');
  return Promise.all(
    rows.map(async ({ target, chain, address, balance, balance_low, balance_at }) => ({
      target,
      account: {
        address,
        balance:
          balance === null || balance_at === null
            ? null
            : { wei: BigInt(balance), low: balance_low === true, at: balance_at },
        spent: await spentInADay(database, { chain, address }, now),
      },
    })),
  );
}

async function readCalendars(database: Queryable): Promise<(CalendarReport & { target: string })[]> {
  const { rows } = await database.query<CalendarReport & { target: string }>(
    `SELECT target, calendar, count(*) FILTER (WHERE kind = 'submit') AS submissions,
            count(*) FILTER (WHERE kind = 'upgrade') AS upgrades,
            (array_agg(problem ORDER BY round DESC) FILTER (WHERE problem IS NOT NULL))[1] AS problem
     FROM ots_requests WHERE answered_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return rows;
}
