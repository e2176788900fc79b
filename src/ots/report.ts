// What is shown of calendars: how far each is with a round, and what it has yet to answer.

import type { ByRound, KindMeasures, KindReport } from '../anchor/kind.ts';
import type { AuditedChain } from '../core/anchor-audit.ts';
import { parseHeader } from '../core/bitcoin-header.ts';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';

/** One thing that a calendar is asked for. */
export interface CalendarState {
  /** Its URL. */
  readonly calendar: string;
  /** `submit`: a timestamp of the round's root. `upgrade`: more about a message that an answer led to. */
  readonly request: 'submit' | 'upgrade';
  /** Hex. */
  readonly message: string;
  /** `ignored`: it is not configured, and never asked. */
  readonly state: 'waiting' | 'answered' | 'ignored';
  /** What stood in the way when it was last asked. */
  readonly problem: string | null;
  readonly lastTry: string | null;
  readonly nextTry: string | null;
}

/** What an answer says of Bitcoin, and what was found there. */
export interface BlockState {
  readonly calendar: string;
  readonly height: number;
  readonly state: 'unseen' | 'included' | 'confirmed' | 'contradicted';
  /** In RPC order; null where the block was not seen. */
  readonly hash: string | null;
  readonly time: string | null;
  readonly problem: string | null;
  readonly nextLook: string | null;
}

/** What calendars add to the status of an anchor. */
export interface CalendarDetails {
  readonly calendars: readonly CalendarState[];
  readonly blocks: readonly BlockState[];
}

export async function readCalendarDetails(
  database: Queryable,
  rounds: readonly number[],
): Promise<ByRound<CalendarDetails>> {
  const [requests, attestations] = await Promise.all([readRequests(database, rounds), readBlocks(database, rounds)]);
  const details = new Map<number, Map<string, { calendars: CalendarState[]; blocks: BlockState[] }>>();
  for (const row of requests) {
    const targets = details.get(row.round) ?? new Map<string, { calendars: CalendarState[]; blocks: BlockState[] }>();
    details.set(row.round, targets);
    const report = targets.get(row.target);
    if (report === undefined) targets.set(row.target, { calendars: [stateOf(row)], blocks: [] });
    else report.calendars.push(stateOf(row));
  }
  for (const row of attestations) details.get(row.round)?.get(row.target)?.blocks.push(blockOf(row));
  return details;
}

interface RequestRow {
  round: number;
  target: string;
  kind: 'submit' | 'upgrade';
  calendar: string;
  message: Uint8Array;
  tried_at: number | null;
  answered_at: number | null;
  next_at: number | null;
  problem: string | null;
}

async function readRequests(database: Queryable, rounds: readonly number[]): Promise<RequestRow[]> {
  const { rows } = await database.query<RequestRow>({
    name: 'ots-report',
    // By way of their anchors: what is indexed begins with the target.
    text: `SELECT q.round, q.target, q.kind, q.calendar, q.message, q.tried_at, q.answered_at, q.next_at, q.problem
           FROM anchors a JOIN ots_requests q ON q.target = a.target AND q.round = a.round
           WHERE a.round = ANY ($1::bigint[]) ORDER BY q.round, q.target, q.kind, q.id`,
    values: [rounds],
  });
  return rows;
}

function stateOf(row: RequestRow): CalendarState {
  return {
    calendar: row.calendar,
    request: row.kind,
    message: toHex(row.message),
    state: row.answered_at !== null ? 'answered' : row.next_at === null ? 'ignored' : 'waiting',
    problem: row.problem,
    lastTry: timeOf(row.tried_at),
    nextTry: timeOf(row.next_at),
  };
}

interface BlockRow {
  round: number;
  target: string;
  calendar: string;
  height: number;
  state: BlockState['state'] | 'buried';
  header: Uint8Array | null;
  problem: string | null;
  next_at: number | null;
}

async function readBlocks(database: Queryable, rounds: readonly number[]): Promise<BlockRow[]> {
  const { rows } = await database.query<BlockRow>({
    name: 'ots-report-blocks',
    text: `SELECT q.round, q.target, q.calendar, t.height, t.state, b.header, t.problem, t.next_at
           FROM anchors a JOIN ots_requests q ON q.target = a.target AND q.round = a.round
           JOIN ots_attestations t ON t.request = q.id LEFT JOIN ots_blocks b ON b.block_hash = t.block_hash
           WHERE a.round = ANY ($1::bigint[]) ORDER BY q.round, q.target, t.height, q.id`,
    values: [rounds],
  });
  return rows;
}

function blockOf({ calendar, height, state, header, problem, next_at }: BlockRow): BlockState {
  const found = header === null ? null : parseHeader(new Uint8Array(header));
  return {
    calendar,
    height,
    state: state === 'buried' ? 'confirmed' : state,
    hash: found?.hash ?? null,
    time: found === null ? null : formatTime(found.time),
    problem,
    nextLook: timeOf(next_at),
  };
}

function timeOf(at: number | null): string | null {
  return at === null ? null : formatTime(at);
}

interface OpenRequests {
  target: string;
  /** Its URL. */
  calendar: string;
  /** Rounds whose root it has not answered for. */
  submissions: number;
  /** Answers that it has not completed yet. */
  upgrades: number;
  /** The problem when it was last asked; of several rounds that of the newest. */
  problem: string | null;
}

export async function reportCalendars(database: Queryable): Promise<Map<string, KindReport>> {
  const [{ rows: targets }, { rows: open }] = await Promise.all([
    database.query<{ name: string }>("SELECT name FROM targets WHERE kind = 'opentimestamps'"),
    database.query<OpenRequests>(
      `SELECT target, calendar, count(*) FILTER (WHERE kind = 'submit') AS submissions,
              count(*) FILTER (WHERE kind = 'upgrade') AS upgrades,
              (array_agg(problem ORDER BY round DESC) FILTER (WHERE problem IS NOT NULL))[1] AS problem
       FROM ots_requests WHERE answered_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2`,
    ),
  ]);
  return new Map(
    targets.map(({ name }) => {
      const calendars = open.filter(({ target }) => target === name);
      const facts = calendars.map(({ target: _, ...calendar }) => calendar);
      return [
        name,
        {
          where: 'by calendars',
          lines: calendars.map(lineOf),
          facts: { contract: null, mode: null, accounts: [], calendars: facts },
        },
      ];
    }),
  );
}

function lineOf({ calendar, submissions, upgrades, problem }: OpenRequests): KindReport['lines'][number] {
  const many = (count: number, one: string): string => `${count.toLocaleString('en')} ${one}${count === 1 ? '' : 's'}`;
  const waits = [
    ...(submissions === 0 ? [] : [`has not answered for ${many(submissions, 'round')}`]),
    ...(upgrades === 0 ? [] : [`has yet to complete ${many(upgrades, 'proof')}`]),
  ].join(', ');
  return { label: 'calendar', says: `${calendar} ${waits}${problem === null ? '' : `: ${problem}`}`, alarm: null };
}

export async function measureCalendars(database: Queryable): Promise<KindMeasures> {
  const { rows } = await database.query<{
    target: string;
    calendar: string;
    open: number;
    failing: number;
    oldest: number | null;
  }>(
    `SELECT target, calendar, count(*) AS open, count(*) FILTER (WHERE problem IS NOT NULL) AS failing,
            min(created_at) AS oldest
     FROM ots_requests WHERE answered_at IS NULL AND next_at IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return {
    gauges: rows.flatMap(({ target, calendar, open, failing, oldest }) => {
      const labels = { target, calendar };
      return [
        { name: 'antequem_calendar_requests', help: 'What a calendar has yet to answer.', labels, value: open },
        {
          name: 'antequem_calendar_failing',
          help: 'Of that, what it did not answer when last asked.',
          labels,
          value: failing,
        },
        {
          name: 'antequem_calendar_oldest_seconds',
          help: 'Age of the oldest of it.',
          labels,
          value: { since: oldest },
        },
      ];
    }),
    notices: rows
      .filter(({ open, failing }) => failing > 0 && failing === open)
      .map(({ calendar }) => `the calendar ${calendar} does not answer`),
  };
}

export async function stampedChains(database: Queryable): Promise<AuditedChain[]> {
  const { rows } = await database.query<AuditedChain>(
    "SELECT DISTINCT chain FROM targets WHERE kind = 'opentimestamps' ORDER BY chain",
  );
  return rows;
}
