// Where the whole service stands, as the database tells it: the same from every process.

import type { AnchorKinds, KindMeasures } from '../anchor/kind.ts';
import { summarizeTargets, type TargetSummary } from '../anchor/report.ts';
import { type ArchivePass, readPasses } from '../archive/passes.ts';
import { readClockReports } from '../clock/reports.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import type { Queryable } from '../store/database.ts';
import type { ClockState } from './clocks.ts';

export interface OperationState extends ClockState {
  /** Entries of all logs. */
  readonly entries: number;
  /** Entries in no round that is final with any target, those of `_system` aside; when the oldest was received. */
  readonly unanchored: { readonly entries: number; readonly oldest: number | null };
  /** When the oldest entry was received that is in no round yet, those of `_system` aside; null: all are in one. */
  readonly unroundedSince: number | null;
  /** The newest round and when it was closed, milliseconds; null before the first. */
  readonly round: { readonly number: number; readonly closedAt: number } | null;
  readonly targets: readonly TargetSummary[];
  /** What each kind of anchor measures of its own. */
  readonly kinds: readonly KindMeasures[];
  readonly webhooks: WebhookState;
  readonly retention: RetentionState;
  /** Sources that are fetched from, with how often in a row that failed. */
  readonly pulled: readonly { readonly source: string; readonly failures: number }[];
  /** The newest pass over each archive. */
  readonly archives: readonly ArchivePass[];
}

export interface RetentionState {
  /** Logs that keep their entries for a time. */
  readonly logs: number;
  /** Since when something is due that is neither erased nor held, or since when nobody has looked; null: neither. */
  readonly overdue: number | null;
  readonly holds: number;
  /** Since when nothing is erased until holds are confirmed; null: they are. */
  readonly unconfirmed: number | null;
}

export interface WebhookState {
  readonly webhooks: number;
  readonly disabled: number;
  readonly pending: number;
  readonly dead: number;
  /** Since when the oldest pending delivery waits. */
  readonly oldest: number | null;
}

/** @param now milliseconds since the Unix epoch */
export async function readState(kinds: AnchorKinds, database: Queryable, now: number): Promise<OperationState> {
  const [logs, round, targets, measures, webhooks, clocks, pulled, archives, retention] = await Promise.all([
    readLogs(database),
    database.query<{ number: number; closed_at: number }>(
      'SELECT number, closed_at FROM rounds ORDER BY number DESC LIMIT 1',
    ),
    summarizeTargets(database),
    Promise.all(Object.values(kinds).map((kind) => kind.measure(database, now))),
    database.query<WebhookState>(
      `SELECT (SELECT count(*) FROM webhooks) AS webhooks,
              (SELECT count(*) FROM webhooks WHERE disabled_at IS NOT NULL) AS disabled,
              (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending') AS pending,
              (SELECT count(*) FROM webhook_deliveries WHERE status = 'dead') AS dead,
              (SELECT min(since) FROM webhook_deliveries WHERE status = 'pending') AS oldest`,
    ),
    readClockReports(database),
    database.query<{ source: string; failures: number }>(
      'SELECT s.name AS source, c.failures FROM source_cursors c JOIN sources s ON s.id = c.source ORDER BY 1',
    ),
    readPasses(database),
    database.query<RetentionState>(
      `SELECT r.logs, CASE WHEN r.logs > 0 THEN least(r.due, CASE WHEN s.next_look_at < $1 THEN greatest(s.next_look_at, r.set_at) END) END AS overdue,
              (SELECT count(*) FROM holds) AS holds, s.unconfirmed_since AS unconfirmed
       FROM retention_state s, (SELECT count(*) AS logs, min(due_since) AS due, min(set_at) AS set_at FROM retention) AS r`,
      [now],
    ),
  ]);
  const newest = round.rows[0];
  const { newestEntry, ...entries } = logs;
  return {
    ...entries,
    clocks,
    newestTime: newest === undefined ? newestEntry : Math.max(newest.closed_at, newestEntry ?? 0),
    round: newest === undefined ? null : { number: newest.number, closedAt: newest.closed_at },
    targets,
    kinds: measures,
    webhooks: webhooks.rows[0] ?? { webhooks: 0, disabled: 0, pending: 0, dead: 0, oldest: null },
    retention: retention.rows[0] ?? { logs: 0, overdue: null, holds: 0, unconfirmed: null },
    pulled: pulled.rows,
    archives,
  };
}

/**
 * Rounds below the frontier are final with some target, by a row of their own or by the rounds behind them, each of which
 * names the root of the one before. So what of a log is not anchored begins at its size in the newest of those.
 */
async function readLogs(
  database: Queryable,
): Promise<
  Pick<OperationState, 'entries' | 'unanchored' | 'unroundedSince' | 'databaseTime'> & { newestEntry: number | null }
> {
  const { rows } = await database.query<{
    now: number;
    entries: number;
    newest: number | null;
    open: number;
    oldest: number | null;
    unrounded: number | null;
  }>(
    `WITH frontier AS MATERIALIZED (
       SELECT coalesce(max(coalesce(
         (SELECT min(round) FROM anchors WHERE target = t.name AND status <> 'finalized'),
         (SELECT max(round) + 1 FROM anchors WHERE target = t.name))), 1) AS round FROM targets t),
     open AS (
       SELECT l.id, l.size, CASE WHEN f.round <= 1 THEN 0 ELSE coalesce((
           SELECT r.size FROM round_logs r WHERE r.log = l.id AND r.round < f.round ORDER BY r.size DESC LIMIT 1), 0)
         END AS anchored
       FROM log_states l, frontier f WHERE l.name <> $1),
     grown AS (
       SELECT l.id, coalesce(h.size, 0) AS rounded FROM log_states l LEFT JOIN round_heads h ON h.log = l.id
       WHERE l.name <> $1 AND l.size > coalesce(h.size, 0))
     SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
            (SELECT coalesce(sum(size), 0)::bigint FROM log_states) AS entries,
            (SELECT max(last_received_at) FROM log_heads) AS newest,
            (SELECT min(time_in_block(b, g.rounded)) FROM grown g
             JOIN blocks b ON b.log = g.id AND b.first <= g.rounded AND b.first + b.count > g.rounded) AS unrounded,
            coalesce(sum(o.size - o.anchored), 0)::bigint AS open, min(e.at) AS oldest
     FROM open o
     LEFT JOIN LATERAL (SELECT time_in_block(b, o.anchored) AS at FROM blocks b
                        WHERE b.log = o.id AND b.first <= o.anchored AND b.first + b.count > o.anchored
                        ORDER BY b.first DESC LIMIT 1) e ON true
     WHERE o.size > o.anchored`,
    [SYSTEM_LOG],
  );
  const [row = { now: 0, entries: 0, newest: null, open: 0, oldest: null, unrounded: null }] = rows;
  return {
    entries: row.entries,
    newestEntry: row.newest,
    unanchored: { entries: row.open, oldest: row.oldest },
    unroundedSince: row.unrounded,
    databaseTime: row.now,
  };
}
