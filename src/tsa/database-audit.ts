// The audit of what a database has of tokens: against the roots of the rounds, and the CAs that the auditor trusts.

import type { AuditedSnapshot, DatabaseAudit } from '../anchor/kind.ts';
import type { AuditTrust } from '../core/anchor-audit.ts';
import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';
import { TokenTally } from './tally.ts';
import { parseToken } from './token.ts';

const ROUNDS = 200;

interface TokenRow {
  round: number;
  target: string;
  root: Uint8Array;
  closed_at: number;
  status: string;
  block_time: number | null;
  token: Uint8Array | null;
  authority: string | null;
}

export async function openTokenAudit({ authorities = [] }: AuditTrust): Promise<DatabaseAudit> {
  return {
    async check({ db, faults, onProgress }: AuditedSnapshot) {
      const tally = new TokenTally(authorities, faults);
      const { rows: targets } = await db.query<{ name: string }>(
        "SELECT name FROM targets WHERE kind = 'rfc3161' ORDER BY name",
      );
      for (const { name } of targets) {
        for await (const row of storedTokens(db, name)) {
          const { round, target, token, authority } = row;
          onProgress(`${target} round ${round}`);
          if (token === null || authority === null) {
            faults.add('anchor-differs', { round }, `round ${round} is stamped by ${target} and has no token`);
            continue;
          }
          const bytes = new Uint8Array(token);
          await tally.take({ round, root: new Uint8Array(row.root), closedAt: row.closed_at, authority, token: bytes });
          const stamped = timeOf(bytes);
          if (row.status !== 'finalized' || (stamped !== null && stamped !== row.block_time)) {
            const says = `the token of ${target} for round ${round} is of ${stamped === null ? 'no time' : formatTime(stamped)}, which the database does not say`;
            faults.add('anchor-differs', { round }, says);
          }
        }
      }
      return tally.outcomes();
    },
  };
}

/** Null: it cannot be read, which is told apart. */
function timeOf(token: Uint8Array): number | null {
  try {
    return parseToken(token).info.time.ms;
  } catch {
    return null;
  }
}

/** What has a token, or says so. */
async function* storedTokens(db: Queryable, target: string): AsyncGenerator<TokenRow> {
  for (let after = 0; ; ) {
    const { rows } = await db.query<TokenRow>(
      `SELECT a.round, a.target, r.root, r.closed_at, a.status, a.block_time, t.token, t.authority
       FROM anchors a JOIN rounds r ON r.number = a.round
       LEFT JOIN tsa_tokens t ON t.target = a.target AND t.round = a.round
       WHERE a.target = $1 AND a.round > $2 AND (t.token IS NOT NULL OR a.status = 'finalized')
       ORDER BY a.round LIMIT $3`,
      [target, after, ROUNDS],
    );
    yield* rows;
    after = rows.at(-1)?.round ?? after;
    if (rows.length < ROUNDS) return;
  }
}
