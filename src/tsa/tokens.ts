// What the database has of timestamp authorities: when each may be asked, and the tokens that it gave.

import { toBase64 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import type { Rfc3161Anchor } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import { type Database, type Queryable, transaction } from '../store/database.ts';

export interface AuthorityIdentity {
  readonly name: string;
  readonly chain: string;
  readonly ephemeral: boolean;
  /** Null: the round after the newest. */
  readonly firstRound: number | null;
  readonly now: number;
}

/** Adds the target. @throws AntequemError `target-differs` where the database has another one of this name */
export async function registerAuthority(database: Database, identity: AuthorityIdentity): Promise<void> {
  const { name, chain, ephemeral, firstRound, now } = identity;
  await database.query(
    `INSERT INTO targets (name, kind, chain, ephemeral, first_round, created_at)
     VALUES ($1, 'rfc3161', $2, $3, coalesce($4, (SELECT coalesce(max(number), 0) + 1 FROM rounds)), $5)
     ON CONFLICT DO NOTHING`,
    [name, chain, ephemeral, firstRound, now],
  );
  const { rows } = await database.query<{ kind: string }>('SELECT kind FROM targets WHERE name = $1', [name]);
  if (rows[0]?.kind !== 'rfc3161') {
    throw new AntequemError('target-differs', `the target ${name} is not a timestamp authority in the database`);
  }
  await database.query('INSERT INTO tsa_authorities (target) VALUES ($1) ON CONFLICT DO NOTHING', [name]);
}

export interface DueRound {
  readonly round: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly closedAt: number;
}

/** Of these rounds those without a token, the oldest first. */
export async function pendingRoots(
  database: Queryable,
  target: string,
  rounds: readonly number[],
): Promise<DueRound[]> {
  const { rows } = await database.query<{ round: number; root: Uint8Array; closed_at: number }>(
    `SELECT a.round, r.root, r.closed_at FROM anchors a JOIN rounds r ON r.number = a.round
     WHERE a.target = $1 AND a.round = ANY ($2::bigint[]) AND a.status = 'pending' ORDER BY a.round`,
    [target, rounds],
  );
  return rows.map(({ round, root, closed_at }) => ({ round, root: new Uint8Array(root), closedAt: closed_at }));
}

/** The right to ask an authority. */
export interface Claimed {
  /** When it ends, which tells it from others. */
  readonly until: number;
  readonly failures: number;
}

/** The longest pause that is ever set, and a minute for clocks that differ. */
const LONGEST_PAUSE_MS = 3_660_000;

/** @returns the right, or the milliseconds until somebody may have it */
export async function claimAuthority(
  database: Queryable,
  target: string,
  { now, lease }: { readonly now: number; readonly lease: number },
): Promise<Claimed | number> {
  // A pause beyond the longest comes from a clock that was ahead.
  const { rows } = await database.query<{ next_at: number; failures: number }>(
    `UPDATE tsa_authorities SET next_at = $2 WHERE target = $1 AND (next_at <= $3 OR next_at > $4)
     RETURNING next_at, failures`,
    [target, now + lease, now, now + LONGEST_PAUSE_MS],
  );
  const [row] = rows;
  if (row !== undefined) return { until: row.next_at, failures: row.failures };
  const waiting = await database.query<{ next_at: number }>('SELECT next_at FROM tsa_authorities WHERE target = $1', [
    target,
  ]);
  return Math.max(0, (waiting.rows[0]?.next_at ?? now) - now);
}

/** Ends a claim. @param problem null: the authority gave a good token */
export async function releaseAuthority(
  database: Queryable,
  target: string,
  { until }: Claimed,
  { nextAt, problem, now }: { readonly nextAt: number; readonly problem: string | null; readonly now: number },
): Promise<void> {
  await database.query(
    `UPDATE tsa_authorities SET next_at = $3, problem = $4,
       failures = CASE WHEN $4::text IS NULL THEN 0 ELSE failures + 1 END,
       failing_at = CASE WHEN $4::text IS NULL THEN NULL ELSE coalesce(failing_at, $5) END
     WHERE target = $1 AND next_at = $2`,
    [target, until, nextAt, problem?.slice(0, 500) ?? null, now],
  );
}

/** A token that was checked. */
export interface AuthorityStamp {
  /** DER. */
  readonly token: Uint8Array;
  /** Subject of the signer's certificate. */
  readonly authority: string;
  /** Milliseconds since the Unix epoch, as stamped. */
  readonly time: number;
  /** Milliseconds; null: unknown. */
  readonly accuracy: number | null;
}

/** The first token for a round is kept; another one changes nothing. */
export async function storeToken(
  database: Database,
  { target, round, now }: { readonly target: string; readonly round: number; readonly now: number },
  { token, authority, time, accuracy }: AuthorityStamp,
): Promise<void> {
  await transaction(database, async (tx) => {
    const { rowCount } = await tx.query(
      `INSERT INTO tsa_tokens (target, round, token, authority, accuracy, received_at) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT DO NOTHING`,
      [target, round, Buffer.from(token), authority, accuracy, now],
    );
    if (rowCount === 0) return;
    await tx.query(
      `UPDATE anchors SET status = 'finalized', block_time = $3, problem = NULL, submitted_at = $4, finalized_at = $4,
         updated_at = $4 WHERE target = $1 AND round = $2`,
      [target, round, time, now],
    );
  });
}

interface TokenRow {
  token: Uint8Array;
  authority: string;
  block_time: number;
  accuracy: number | null;
}

/** The tokens of a round as receipts have them, the earliest first. */
export async function readTokenAnchors(database: Queryable, round: number): Promise<Rfc3161Anchor[]> {
  const { rows } = await database.query<TokenRow>({
    name: 'tsa-anchors',
    text: `SELECT t.token, t.authority, a.block_time, t.accuracy
           FROM tsa_tokens t JOIN anchors a USING (target, round) WHERE t.round = $1 ORDER BY a.block_time, t.target`,
    values: [round],
  });
  return rows.map(({ token, authority, block_time, accuracy }) => ({
    type: 'rfc3161',
    status: 'stamped',
    authority,
    time: formatTime(block_time),
    accuracy,
    token: toBase64(new Uint8Array(token)),
  }));
}
