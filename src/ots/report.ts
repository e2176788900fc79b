// Where a round stands with each calendar, for people.

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

export interface CalendarReport {
  readonly calendars: readonly CalendarState[];
  readonly blocks: readonly BlockState[];
}

/** By round and target. */
export async function reportCalendars(
  database: Queryable,
  rounds: readonly number[],
): Promise<Map<number, Map<string, CalendarReport>>> {
  const [requests, attestations] = await Promise.all([readRequests(database, rounds), readBlocks(database, rounds)]);
  const reports = new Map<number, Map<string, { calendars: CalendarState[]; blocks: BlockState[] }>>();
  for (const row of requests) {
    const targets = reports.get(row.round) ?? new Map<string, { calendars: CalendarState[]; blocks: BlockState[] }>();
    reports.set(row.round, targets);
    const report = targets.get(row.target);
    if (report === undefined) targets.set(row.target, { calendars: [stateOf(row)], blocks: [] });
    else report.calendars.push(stateOf(row));
  }
  for (const row of attestations) reports.get(row.round)?.get(row.target)?.blocks.push(blockOf(row));
  return reports;
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
    text: `SELECT round, target, kind, calendar, message, tried_at, answered_at, next_at, problem
           FROM ots_requests WHERE round = ANY ($1::bigint[]) ORDER BY round, target, kind, id`,
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
    text: `SELECT q.round, q.target, q.calendar, t.height, t.state, t.header, t.problem, t.next_at
           FROM ots_requests q JOIN ots_attestations t ON t.request = q.id
           WHERE q.round = ANY ($1::bigint[]) ORDER BY q.round, q.target, t.height, q.id`,
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
