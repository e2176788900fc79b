// Requests to calendars, one row each. A process claims a row before it makes the request; if the process dies, the claim
// expires.

import type { Database, Queryable } from '../store/database.ts';

export interface Request {
  readonly id: number;
  readonly round: number;
  readonly kind: 'submit' | 'upgrade';
  /** Its URL. */
  readonly calendar: string;
  /** The round's root, or the message that the calendar promised to know more about. */
  readonly message: Uint8Array;
  /** Since the last useful answer, including this one. */
  readonly attempts: number;
}

/** Characters of a problem. */
const MAX_PROBLEM = 1_000;

/** Adds requests to every calendar for the roots of rounds for which too few calendars have answered. */
export async function openSubmissions(
  database: Queryable,
  target: string,
  rounds: readonly number[],
  calendars: readonly string[],
  now: number,
): Promise<void> {
  await database.query(
    `INSERT INTO ots_requests (target, round, kind, calendar, message, created_at, next_at)
     SELECT a.target, a.round, 'submit', c.calendar, r.root, $4, $4
     FROM anchors a JOIN rounds r ON r.number = a.round CROSS JOIN unnest($3::text[]) AS c (calendar)
     WHERE a.target = $1 AND a.round = ANY ($2::bigint[]) AND a.status = 'pending'
       AND NOT EXISTS (SELECT FROM ots_requests q WHERE q.target = a.target AND q.round = a.round
                       AND q.kind = 'submit' AND q.calendar = c.calendar)
     ON CONFLICT DO NOTHING`,
    [target, rounds, calendars, now],
  );
}

export interface RequestClaim {
  readonly target: string;
  readonly rounds: readonly number[];
  readonly calendar: string;
  readonly most: number;
  /** Requests due by then are claimed. */
  readonly dueAt: number;
  readonly now: number;
  /** Milliseconds after which the claim expires. */
  readonly lease: number;
}

/** Claims requests to a calendar that are due, for the caller to make. */
export async function claimRequests(database: Queryable, claim: RequestClaim): Promise<Request[]> {
  const { target, rounds, calendar, most, dueAt, now, lease } = claim;
  const { rows } = await database.query<Request>(
    `UPDATE ots_requests SET tried_at = $4, next_at = $5, attempts = attempts + 1
     WHERE id IN (SELECT id FROM ots_requests
                  WHERE target = $1 AND round = ANY ($2::bigint[]) AND calendar = $3 AND next_at <= $7
                  ORDER BY kind, round LIMIT $6 FOR UPDATE SKIP LOCKED)
     RETURNING id, round, kind, calendar, message, attempts`,
    [target, rounds, calendar, now, now + lease, most, dueAt],
  );
  return rows.map((row) => ({ ...row, message: new Uint8Array(row.message) }));
}

/** Records that a request is to be made again. @param problem null: it is only too early */
export async function postpone(
  database: Queryable,
  { id }: Request,
  { until, problem }: { readonly until: number; readonly problem: string | null },
): Promise<void> {
  await database.query('UPDATE ots_requests SET next_at = $2, problem = $3 WHERE id = $1 AND answered_at IS NULL', [
    id,
    until,
    problem?.slice(0, MAX_PROBLEM) ?? null,
  ]);
}

/** Postpones all requests to a calendar that fails. */
export async function waitFor(
  database: Queryable,
  target: string,
  { calendar, until, problem }: { readonly calendar: string; readonly until: number; readonly problem: string },
): Promise<void> {
  await database.query(
    `UPDATE ots_requests SET next_at = $3, problem = coalesce(problem, $4)
     WHERE id IN (SELECT id FROM ots_requests WHERE target = $1 AND calendar = $2 AND next_at < $3
                  ORDER BY id FOR UPDATE SKIP LOCKED)`,
    [target, calendar, until, problem.slice(0, MAX_PROBLEM)],
  );
}

/** The longest delay of a request and of a look at a block. */
const LONGEST_WAIT_MS = 3_600_000;
const LONGEST_LOOK_MS = 24 * 3_600_000;
const TOLERANCE_MS = 60_000;

/** A delay above the maximum comes from a clock that was ahead: such requests are made due now. */
export async function recallRequests(database: Queryable, target: string, now: number): Promise<void> {
  await database.query('UPDATE ots_requests SET next_at = $2 WHERE target = $1 AND next_at > $3', [
    target,
    now,
    now + LONGEST_WAIT_MS + TOLERANCE_MS,
  ]);
  await database.query(
    `UPDATE ots_attestations a SET next_at = $2 FROM ots_requests q
     WHERE q.id = a.request AND q.target = $1 AND a.next_at > $3`,
    [target, now, now + LONGEST_LOOK_MS + TOLERANCE_MS],
  );
}

/** Resumes requests to calendars that were configured since, and stops those to calendars that are not. */
export async function reviewCalendars(
  database: Database,
  target: string,
  calendars: readonly string[],
  now: number,
): Promise<void> {
  await database.query(
    `UPDATE ots_requests SET next_at = NULL, problem = $3
     WHERE target = $1 AND answered_at IS NULL AND next_at IS NOT NULL AND calendar <> ALL ($2::text[])`,
    [target, calendars, NOT_CONFIGURED],
  );
  await database.query(
    `UPDATE ots_requests SET next_at = $3, problem = NULL
     WHERE target = $1 AND answered_at IS NULL AND next_at IS NULL AND calendar = ANY ($2::text[])`,
    [target, calendars, now],
  );
}

export const NOT_CONFIGURED = 'not configured (OTS_CALENDARS), so it is not asked';
