// The token of a round as `openssl ts -verify` takes it: a whole response (RFC 3161 section 2.4.2).

import type { Queryable } from '../store/database.ts';
import { derSequence, integer } from './der.ts';

/** A TimeStampResp that grants the token. */
export function grantedResponse(token: Uint8Array): Uint8Array {
  return derSequence(derSequence(integer(0)), token);
}

/** What the round was stamped by, the earliest first. @param authority its target's name; null: any */
export async function readRoundResponse(
  database: Queryable,
  round: number,
  authority: string | null,
): Promise<{ readonly target: string; readonly response: Uint8Array } | null> {
  const { rows } = await database.query<{ target: string; token: Uint8Array }>({
    name: 'tsa-response',
    text: `SELECT t.target, t.token FROM tsa_tokens t JOIN anchors a USING (target, round)
           WHERE t.round = $1 AND ($2::text IS NULL OR t.target = $2) ORDER BY a.block_time, t.target LIMIT 1`,
    values: [round, authority],
  });
  const [row] = rows;
  return row === undefined ? null : { target: row.target, response: grantedResponse(new Uint8Array(row.token)) };
}
