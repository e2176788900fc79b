// The row of the target, and what of its rounds is to be looked at when.

import { AntequemError } from '../core/errors.ts';
import type { Database, Queryable } from '../store/database.ts';

export interface OtsIdentity {
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  readonly ephemeral: boolean;
}

/** Its chain is part of what its anchors mean: that never changes. @throws AntequemError `target-differs` */
export async function registerOts(
  database: Database,
  { name, chain, ephemeral }: OtsIdentity,
  { firstRound, now }: { readonly firstRound: number | null; readonly now: number },
): Promise<void> {
  await database.query(
    `INSERT INTO targets (name, kind, chain, ephemeral, first_round, created_at)
     VALUES ($1, 'opentimestamps', $2, $3, coalesce($4, (SELECT coalesce(max(number), 0) + 1 FROM rounds)), $5)
     ON CONFLICT DO NOTHING`,
    [name, chain, ephemeral, firstRound, now],
  );
  const { rows } = await database.query<{ kind: string; chain: string; ephemeral: boolean }>(
    'SELECT kind, chain, ephemeral FROM targets WHERE name = $1',
    [name],
  );
  const [row] = rows;
  if (row?.kind === 'opentimestamps' && row.chain === chain && row.ephemeral === ephemeral) return;
  const says = (what: { chain: string; ephemeral: boolean }): string =>
    `for ${what.chain}${what.ephemeral ? ', which may be started anew' : ''}`;
  throw new AntequemError(
    'target-differs',
    `the target ${name} is ${row === undefined ? 'gone' : says(row)} in the database and ${says({ chain, ephemeral })} now`,
  );
}

export interface Due {
  readonly target: string;
  /** Whom it is permitted to ask. */
  readonly contacts: readonly string[];
  /** Whether somebody can be asked for headers. */
  readonly headers: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
}

/** When to ask and look up; a confirmed block is watched by another way. Parameters $1 target, $2 contacts, $3 headers. */
const LOOKS = `
  SELECT round, next_at FROM ots_requests
  WHERE target = $1 AND next_at IS NOT NULL AND calendar = ANY ($2::text[])
  UNION ALL
  SELECT q.round, t.next_at FROM ots_requests q JOIN ots_attestations t ON t.request = q.id
  WHERE $3 AND q.target = $1 AND t.next_at IS NOT NULL AND t.state <> 'confirmed'`;

/** For each of the rounds: milliseconds until its next look; null: there is none. */
export async function nextLooks(
  database: Queryable,
  { target, contacts, headers, now }: Due,
  rounds: readonly number[],
): Promise<Map<number, number | null>> {
  const { rows } = await database.query<{ round: number; next_at: number }>(
    `SELECT round, min(next_at) AS next_at FROM (${LOOKS}) l WHERE round = ANY ($4::bigint[]) GROUP BY round`,
    [target, contacts, headers, rounds],
  );
  const looks = new Map(rows.map(({ round, next_at }) => [round, Math.max(0, next_at - now)]));
  return new Map(rounds.map((round) => [round, looks.get(round) ?? null]));
}

/** Rounds with a look that is due, or that were never looked at; the oldest first. */
export async function dueRounds(
  database: Queryable,
  { target, contacts, headers, now }: Due,
  most: number,
): Promise<number[]> {
  const { rows } = await database.query<{ round: number }>(
    `SELECT round FROM (${LOOKS}) l WHERE next_at <= $4
     UNION
     SELECT round FROM anchors a WHERE target = $1 AND status = 'pending'
       AND NOT EXISTS (SELECT FROM ots_requests q WHERE q.target = a.target AND q.round = a.round)
     ORDER BY round LIMIT $5`,
    [target, contacts, headers, now, most],
  );
  return rows.map(({ round }) => round);
}
