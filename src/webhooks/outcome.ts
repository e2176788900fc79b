// Records the outcome of attempts and decides what it means for the webhook.

import { type Database, type Transaction, transaction } from '../store/database.ts';
import type { Reply } from './post.ts';

/** An attempt: the receiver's reply, why there is none, or that the service itself aborted it. */
export type Attempted = { readonly event: number; readonly attempts: number; readonly since: number } & (
  | { readonly reply: Reply }
  | { readonly problem: string }
  | { readonly interrupted: true }
);

export interface Recorded {
  /** Whether the receiver could be reached. */
  readonly reached: boolean;
  /** Whether the receiver answered 410 (gone). */
  readonly gone: boolean;
  /** Deliveries that were given up. */
  readonly dead: number;
}

/** This many failures in a row count as an outage. After it, pending deliveries are due at once. */
const OUTAGE = 3;
const GONE = 410;
/** The receiver is unreachable or asks for a pause; other answers concern only the message. */
const UNAVAILABLE = new Set([429, 502, 503, 504]);

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Milliseconds, as Standard Webhooks proposes: about three days in all. */
const DELAYS = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
/** No attempts are made after this time, so that events for an unreachable receiver do not pile up without limit. */
const LIFETIME = 96 * HOUR;
const LONGEST_ASKED = 6 * HOUR;
export const LONGEST_PAUSE_MS = 10 * MINUTE;
/** The longest delay, with the random part. */
export const LONGEST_DELAY_MS = 27 * HOUR;

interface Next {
  readonly event: number;
  readonly status: 'pending' | 'delivered' | 'dead';
  readonly dueAt: number;
  readonly answered: number | null;
  readonly problem: string | null;
  /** Statuses of attempts that are not counted. */
  readonly undone: number;
}

/** Records claimed attempts of a webhook. A webhook that was deleted meanwhile is skipped. */
export async function recordAttempts(
  database: Database,
  webhook: string,
  attempted: readonly Attempted[],
  { now, random }: { readonly now: number; readonly random: () => number },
): Promise<Recorded> {
  const next = attempted.map((attempt) => nextOf(attempt, now, random()));
  const replies = attempted.flatMap((attempt) => ('reply' in attempt ? [attempt.reply] : []));
  const reached = replies.some(({ status }) => !UNAVAILABLE.has(status));
  const failed = !reached && attempted.some((attempt) => !('interrupted' in attempt));
  const gone = replies.some(({ status }) => status === GONE);
  await transaction(database, async (tx) => {
    await tx.query(
      `UPDATE webhook_deliveries d SET status = n.status, due_at = n.due_at, answered = n.answered, problem = n.problem,
              attempts = attempts - n.undone, updated_at = $7
       FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::int[], $6::text[], $8::int[])
         AS n (event, status, due_at, answered, problem, undone)
       WHERE d.webhook = $1 AND d.event = n.event AND d.status = 'pending'`,
      [
        webhook,
        next.map(({ event }) => event),
        next.map(({ status }) => status),
        next.map(({ dueAt }) => dueAt),
        next.map(({ answered }) => answered),
        next.map(({ problem }) => problem),
        now,
        next.map(({ undone }) => undone),
      ],
    );
    if (gone) await disable(tx, webhook, now);
    else if (reached) await welcome(tx, webhook, now);
    else if (failed) await pause(tx, webhook, { now, asked: Math.max(0, ...replies.map((r) => r.retryAfter ?? 0)) });
  });
  return { reached, gone, dead: next.filter(({ status }) => status === 'dead').length };
}

function nextOf(attempt: Attempted, now: number, random: number): Next {
  const { event, attempts, since } = attempt;
  if ('interrupted' in attempt) {
    return { event, status: 'pending', dueAt: now, answered: null, problem: null, undone: 1 };
  }
  const reply = 'reply' in attempt ? attempt.reply : null;
  const answered = reply?.status ?? null;
  if (answered !== null && answered >= 200 && answered < 300) {
    return { event, status: 'delivered', dueAt: now, answered, problem: null, undone: 0 };
  }
  const problem = 'problem' in attempt ? attempt.problem : `answered ${answered}${redirects(answered)}`;
  const delay = answered === GONE ? null : delayAfter(attempts, reply?.retryAfter ?? null, random);
  const dueAt = now + (delay ?? 0);
  const status = delay === null || dueAt - since > LIFETIME ? 'dead' : 'pending';
  return { event, status, dueAt, answered, problem, undone: 0 };
}

function redirects(status: number | null): string {
  return status !== null && status >= 300 && status < 400
    ? ': redirects are not followed; create a webhook with the new URL'
    : '';
}

async function disable(tx: Transaction, webhook: string, now: number): Promise<void> {
  await tx.query('UPDATE webhooks SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL', [webhook, now]);
  await tx.query(
    `UPDATE webhook_deliveries SET status = 'dead', problem = 'the receiver said that it is gone (410)', updated_at = $2
     WHERE webhook = $1 AND status = 'pending'`,
    [webhook, now],
  );
}

async function welcome(tx: Transaction, webhook: string, now: number): Promise<void> {
  const { rows } = await tx.query<{ before: number }>(
    `UPDATE webhooks w SET failures = 0, paused_until = 0
     FROM (SELECT id, failures AS before FROM webhooks WHERE id = $1 FOR UPDATE) b
     WHERE w.id = b.id AND b.before > 0 RETURNING b.before`,
    [webhook],
  );
  if ((rows[0]?.before ?? 0) < OUTAGE) return;
  // First attempts in progress have no `problem` yet, so their claims stay.
  await tx.query(
    `UPDATE webhook_deliveries SET due_at = $2
     WHERE webhook = $1 AND status = 'pending' AND due_at > $2 AND problem IS NOT NULL`,
    [webhook, now],
  );
}

async function pause(
  tx: Transaction,
  webhook: string,
  { now, asked }: { readonly now: number; readonly asked: number },
): Promise<void> {
  const { rows } = await tx.query<{ failures: number }>('SELECT failures FROM webhooks WHERE id = $1 FOR UPDATE', [
    webhook,
  ]);
  const failures = (rows[0]?.failures ?? 0) + 1;
  const until = now + Math.max(pauseAfter(failures), Math.min(asked, pauseAfter(100)));
  await tx.query('UPDATE webhooks SET failures = $2, paused_until = greatest(paused_until, $3) WHERE id = $1', [
    webhook,
    failures,
    until,
  ]);
}

/** Gives up deliveries that have been pending for too long, attempted or not. */
export async function giveUpOld(database: Database, webhook: string, now: number): Promise<void> {
  await database.query(
    `UPDATE webhook_deliveries
     SET status = 'dead', problem = coalesce(problem, 'the receiver was away for too long'), updated_at = $2
     WHERE webhook = $1 AND status = 'pending' AND since < $3 AND due_at <= $2`,
    [webhook, now, now - LIFETIME],
  );
}

/**
 * Milliseconds until the next attempt, after this many; null after the last one.
 * @param asked the delay that the receiver asked for, milliseconds
 * @param random 0 ≤ x < 1: spreads the retries of deliveries that failed together
 */
function delayAfter(attempts: number, asked: number | null, random: number): number | null {
  const delay = DELAYS[attempts - 1];
  if (delay === undefined) return null;
  return Math.max(Math.round(delay * (0.9 + 0.2 * random)), Math.min(asked ?? 0, LONGEST_ASKED));
}

/** Milliseconds to pause a webhook after this many attempts in a row could not reach the receiver. */
function pauseAfter(failures: number): number {
  return Math.min(5 * SECOND * 2 ** Math.min(failures - 1, 10), LONGEST_PAUSE_MS);
}
