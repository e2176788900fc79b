import type { Queryable } from '../../src/store/database.ts';

/** What of a target is not final yet. */
export interface Backlog {
  readonly target: string;
  readonly chain: string;
  readonly unfinished: number;
  /** The oldest round among them and when it was closed, milliseconds. */
  readonly oldest: { readonly round: number; readonly closedAt: number } | null;
  readonly stopped: { readonly code: string; readonly reason: string } | null;
}

/** What every target has yet to do. */
export async function readBacklog(database: Queryable): Promise<Backlog[]> {
  const { rows } = await database.query<{
    name: string;
    chain: string;
    stop_code: string | null;
    stop_reason: string | null;
    unfinished: number;
    round: number | null;
    closed_at: number | null;
  }>(
    `SELECT t.name, t.chain, t.stop_code, t.stop_reason, u.unfinished, r.number AS round, r.closed_at
     FROM targets t
     CROSS JOIN LATERAL (SELECT count(*) AS unfinished, min(round) AS oldest FROM anchors
                         WHERE target = t.name AND status <> 'finalized') u
     LEFT JOIN rounds r ON r.number = u.oldest ORDER BY t.name`,
  );
  return rows.map((row) => ({
    target: row.name,
    chain: row.chain,
    unfinished: row.unfinished,
    oldest: row.round === null || row.closed_at === null ? null : { round: row.round, closedAt: row.closed_at },
    stopped:
      row.stop_code === null || row.stop_reason === null ? null : { code: row.stop_code, reason: row.stop_reason },
  }));
}
