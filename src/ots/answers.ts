// Stores answers of calendars permanently, with the requests and block lookups that follow from them.

import { equalBytes } from '../core/bytes.ts';
import type { Database, Queryable, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { CalendarAnswer } from './calendar-client.ts';
import { openAttestations } from './open-attestations.ts';
import { NOT_CONFIGURED, type Request } from './requests.ts';
import { lockRounds, type Rules, settle } from './status.ts';

export interface Storing {
  readonly target: string;
  /** The configured calendars, by URL. */
  readonly calendars: readonly string[];
  readonly rules: Rules;
  readonly now: number;
}

/** The most answers to one request: one, and another after each reorganization that removed its block. */
const MOST_ANSWERS = 16;
/** The most requests for one round that answers may cause. */
const MOST_REQUESTS = 64;

/**
 * Stores an answer. Storing it again changes nothing.
 * @returns why the request is to be made again; null: it is not
 */
export async function storeAnswer(
  database: Database,
  request: Request,
  answer: CalendarAnswer,
  { target, calendars, rules, now }: Storing,
): Promise<string | null> {
  const { pending, blocks } = openAttestations(answer.timestamp);
  // An answer that leads back to the same request is none.
  const ahead = pending.filter(
    (next) =>
      request.kind === 'submit' || next.calendar !== request.calendar || !equalBytes(next.message, request.message),
  );
  if (ahead.length === 0 && blocks.length === 0) {
    return `${request.calendar} answered with a timestamp that leads to no block of Bitcoin and no calendar`;
  }
  return transaction(database, async (tx) => {
    await lockRounds(tx, target, [request.round]);
    if (!(await insertAnswer(tx, request, answer.bytes, now))) {
      return `${request.calendar} has given ${MOST_ANSWERS} different answers already, and no more are taken`;
    }
    for (const { calendar, message } of ahead) {
      const configured = calendars.includes(calendar);
      await tx.query(
        `INSERT INTO ots_requests (target, round, kind, calendar, message, created_at, next_at, problem)
         SELECT $1, $2, 'upgrade', $3, $4, $5, $6, $7
         WHERE $8 OR (SELECT count(*) FROM ots_requests WHERE target = $1 AND round = $2) < ${MOST_REQUESTS}
         ON CONFLICT DO NOTHING`,
        [
          target,
          request.round,
          calendar,
          Buffer.from(message),
          now,
          configured ? now + rules.pace.upgrade.first : null,
          configured ? null : NOT_CONFIGURED,
          // Endless promises of one calendar must not leave too few requests for the others.
          request.kind === 'submit',
        ],
      );
    }
    for (const { height, merkleRoot } of blocks) {
      await tx.query(
        `INSERT INTO ots_attestations (request, height, merkle_root, found_at, next_at) VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT DO NOTHING`,
        [request.id, height, Buffer.from(merkleRoot), now],
      );
    }
    const { rowCount } = await tx.query(
      `UPDATE ots_requests SET answered_at = $2, next_at = NULL, problem = NULL, attempts = 0
       WHERE id = $1 AND ($3 OR EXISTS (SELECT FROM ots_attestations WHERE request = $1 AND state <> 'contradicted'))`,
      [request.id, now, ahead.length > 0],
    );
    await settle(tx, target, [request.round], rules, now);
    return rowCount === 0
      ? `${request.calendar} names blocks of Bitcoin that do not have the merkle root it says`
      : null;
  });
}

/** @returns false where there are too many already */
async function insertAnswer(tx: Transaction, { id }: Request, bytes: Uint8Array, now: number): Promise<boolean> {
  const { rows } = await tx.query<{ known: boolean; count: number }>(
    `SELECT coalesce(bool_or(answer = $2), false) AS known, count(*) FROM ots_answers WHERE request = $1`,
    [id, Buffer.from(bytes)],
  );
  const known = rows[0]?.known ?? false;
  if (known) return true;
  if ((rows[0]?.count ?? 0) >= MOST_ANSWERS) return false;
  await tx.query('INSERT INTO ots_answers (request, answer, received_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
    id,
    Buffer.from(bytes),
    now,
  ]);
  return true;
}

/** A stored answer, and the message that it timestamps. */
export interface StoredAnswer {
  readonly calendar: string;
  readonly message: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The answers for a round, the oldest first. */
export async function readAnswers(database: Queryable, target: string, round: number): Promise<StoredAnswer[]> {
  const { rows } = await database.query<{ calendar: string; message: Uint8Array; answer: Uint8Array }>({
    name: 'ots-answers',
    text: `SELECT q.calendar, q.message, n.answer FROM ots_requests q JOIN ots_answers n ON n.request = q.id
           WHERE q.target = $1 AND q.round = $2 ORDER BY n.id`,
    values: [target, round],
  });
  return rows.map(({ calendar, message, answer }) => ({
    calendar,
    message: new Uint8Array(message),
    bytes: new Uint8Array(answer),
  }));
}
