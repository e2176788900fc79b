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

/** By target. */
export async function reportCalendars(database: Queryable, round: number): Promise<Map<string, CalendarReport>> {
  const [requests, attestations] = await Promise.all([readRequests(database, round), readBlocks(database, round)]);
  const targets = new Map<string, CalendarReport>();
  for (const [target, rows] of Map.groupBy(requests, (row) => row.target)) {
    const blocks = attestations.filter((row) => row.target === target).map(({ block }) => block);
    targets.set(target, { calendars: rows.map(({ state }) => state), blocks });
  }
  return targets;
}

async function readRequests(database: Queryable, round: number): Promise<{ target: string; state: CalendarState }[]> {
  const { rows } = await database.query<{
    target: string;
    kind: 'submit' | 'upgrade';
    calendar: string;
    message: Uint8Array;
    tried_at: number | null;
    answered_at: number | null;
    next_at: number | null;
    problem: string | null;
  }>({
    name: 'ots-report',
    text: `SELECT target, kind, calendar, message, tried_at, answered_at, next_at, problem
           FROM ots_requests WHERE round = $1 ORDER BY target, kind, id`,
    values: [round],
  });
  return rows.map((row) => ({
    target: row.target,
    state: {
      calendar: row.calendar,
      request: row.kind,
      message: toHex(row.message),
      state: row.answered_at !== null ? 'answered' : row.next_at === null ? 'ignored' : 'waiting',
      problem: row.problem,
      lastTry: timeOf(row.tried_at),
      nextTry: timeOf(row.next_at),
    },
  }));
}

async function readBlocks(database: Queryable, round: number): Promise<{ target: string; block: BlockState }[]> {
  const { rows } = await database.query<{
    target: string;
    calendar: string;
    height: number;
    state: BlockState['state'] | 'buried';
    header: Uint8Array | null;
    problem: string | null;
    next_at: number | null;
  }>({
    name: 'ots-report-blocks',
    text: `SELECT q.target, q.calendar, t.height, t.state, t.header, t.problem, t.next_at
           FROM ots_requests q JOIN ots_attestations t ON t.request = q.id
           WHERE q.round = $1 ORDER BY q.target, t.height, q.id`,
    values: [round],
  });
  return rows.map(({ target, calendar, height, state, header, problem, next_at }) => {
    const found = header === null ? null : parseHeader(new Uint8Array(header));
    return {
      target,
      block: {
        calendar,
        height,
        state: state === 'buried' ? 'confirmed' : state,
        hash: found?.hash ?? null,
        time: found === null ? null : formatTime(found.time),
        problem,
        nextLook: timeOf(next_at),
      },
    };
  });
}

function timeOf(at: number | null): string | null {
  return at === null ? null : formatTime(at);
}
