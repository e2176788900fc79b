import { equalBytes } from '../core/bytes.ts';
import type { Witness } from '../core/policy.ts';
import type { Log } from '../log/log.ts';
import type { Queryable } from '../store/database.ts';

/**
 * Why a witness does not cosign a log, or what is wrong with what it shows of it.
 *
 * - `witness-shows-fork`, `witness-shows-more`: the checkpoint that it shows, signed by the log, has another root than the
 *   log, or more entries
 * - `witness-fork`: it may have cosigned another tree of this log
 * - `witness-ahead`: it has cosigned more entries than are published here
 * - `witness-refuses`, `witness-knows-no-log`, `witness-knows-no-key`, `witness-answer-invalid`: it refuses, or its answer
 *   is invalid
 * - `witness-fails`, `witness-unreachable`, `witness-busy`: it may cosign later
 */
export const WITNESS_PROBLEM_CODES = [
  'witness-shows-fork',
  'witness-shows-more',
  'witness-fork',
  'witness-ahead',
  'witness-refuses',
  'witness-knows-no-log',
  'witness-knows-no-key',
  'witness-answer-invalid',
  'witness-fails',
  'witness-unreachable',
  'witness-busy',
] as const;
export type WitnessProblemCode = (typeof WITNESS_PROBLEM_CODES)[number];

/** Where a problem was found: a witness has at most one of each with a log. */
export type WitnessProblemSource = 'offer' | 'shown';
export const problemSource = (code: WitnessProblemCode): WitnessProblemSource =>
  code === 'witness-shows-fork' || code === 'witness-shows-more' ? 'shown' : 'offer';

/** A problem of one witness with one log. */
export interface WitnessProblem {
  /** The witness's name in the policy. */
  readonly witness: string;
  /** The log's origin. */
  readonly log: string;
  readonly code: WitnessProblemCode;
  /** An explanation for operators. */
  readonly says: string;
}

/** The stored problems of witnesses with logs, shared by all processes. */
export class WitnessProblems {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** Stores the problem in place of an earlier one. */
  async note(log: Log, { key }: Witness, code: WitnessProblemCode, says: string, now: number): Promise<void> {
    await this.#database.query(
      `INSERT INTO witness_problems (witness, log, source, code, says, found_at) VALUES ($1, $2, $6, $3, $4, $5)
       ON CONFLICT (witness, log, source)
         DO UPDATE SET code = excluded.code, says = excluded.says, found_at = excluded.found_at`,
      [Buffer.from(key.id), log.id, code, says, now, problemSource(code)],
    );
  }

  /** Deletes the problem: the witness has cosigned the log, or shows what it should. */
  async clear(log: Log, { key }: Witness, source: WitnessProblemSource): Promise<void> {
    await this.#database.query({
      name: 'clear-witness-problem',
      text: 'DELETE FROM witness_problems WHERE witness = $1 AND log = $2 AND source = $3',
      values: [Buffer.from(key.id), log.id, source],
    });
  }

  /** The problems of these witnesses, by witness and log. */
  async of(witnesses: readonly Witness[]): Promise<WitnessProblem[]> {
    const { rows } = await this.#database.query<{
      key: Uint8Array;
      log: string;
      code: WitnessProblemCode;
      says: string;
    }>(
      // Another process may have got a cosignature after this one was refused.
      `SELECT p.witness AS key, l.origin AS log, p.code, p.says
       FROM witness_problems p JOIN logs l ON l.id = p.log
       LEFT JOIN LATERAL (SELECT stored_at FROM cosignatures c WHERE c.witness = p.witness AND c.log = p.log
                          ORDER BY size DESC LIMIT 1) c ON true
       WHERE p.witness = ANY ($1) AND (p.source = 'shown' OR coalesce(c.stored_at, 0) <= p.found_at) ORDER BY p.log, p.source`,
      [witnesses.map(({ key }) => Buffer.from(key.id))],
    );
    return witnesses.flatMap(({ name, key }) =>
      rows.flatMap(({ key: of, log, code, says }) =>
        equalBytes(new Uint8Array(of), key.id) ? [{ witness: name, log, code, says }] : [],
      ),
    );
  }
}
