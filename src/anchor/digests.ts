// Digests that the service accepts as an OpenTimestamps calendar: stored at once, and leaves of the next round.

import { AntequemError } from '../core/errors.ts';
import { digestCommitment } from '../core/round.ts';
import { within } from '../core/time-limit.ts';
import type { Effects } from '../log/log.ts';
import type { RollbackState } from '../log/rollback.ts';
import type { Queryable, Transaction } from '../store/database.ts';

/** Whether any wait, as an SQL expression. */
export const WAITING_DIGESTS = 'EXISTS (SELECT FROM digests)';

const NONCE_SIZE = 16;
/** Digests in one statement. */
const GROUP = 5_000;

export interface IntakeOptions {
  readonly database: Queryable;
  readonly effects: Effects;
  /** While the database is known to be set back, nothing is accepted. */
  readonly rollback: RollbackState;
  /** Digests that may wait for the database, in memory. Default 20,000. */
  readonly maxQueued?: number;
  /** Digests that may wait for a round, in the database. Default 1,000,000. */
  readonly maxWaiting?: number;
  /** Milliseconds after which whoever waits for the database is told that it does not answer. Default 900. */
  readonly patience?: number;
}

/** An accepted digest. */
export interface TakenDigest {
  /** 16 bytes. */
  readonly nonce: Uint8Array;
  /** SHA-256(digest ‖ nonce): 32 bytes. */
  readonly commitment: Uint8Array;
}

interface Queued {
  readonly commitment: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Stores digests together: those that arrive while a statement runs go into the next one. */
export class DigestIntake {
  readonly #options: Required<IntakeOptions>;
  #queue: Queued[] = [];
  #running = false;
  /** Told after each commit how many digests it brought. */
  onTaken: (count: number) => void = () => {};

  constructor(options: IntakeOptions) {
    this.#options = { maxQueued: 20_000, maxWaiting: 1_000_000, patience: 900, ...options };
  }

  /**
   * Resolves once the digest is durable.
   * @throws FormatError `digest-length` unless 1 to 64 bytes; AntequemError `overloaded`, `database-set-back`,
   *   `database-silent` and what the database fails with: then it is unknown whether it was taken, and no harm if so
   */
  async take(digest: Uint8Array): Promise<TakenDigest> {
    const nonce = this.#options.effects.random(NONCE_SIZE);
    const commitment = digestCommitment(digest, nonce);
    await this.commit(commitment);
    return { nonce, commitment };
  }

  /** The same for a commitment that was made already. @throws those of `take`, but for `digest-length` */
  async commit(commitment: Uint8Array): Promise<void> {
    const { rollback, maxQueued, patience } = this.#options;
    rollback.demand();
    if (this.#queue.length >= maxQueued) throw overloaded();
    const durable = new Promise<void>((resolve, reject) => {
      this.#queue.push({ commitment, resolve, reject });
      // Not at once: what else this turn of the event loop brings shares the statement.
      if (!this.#running) setImmediate(() => void this.#drain());
      this.#running = true;
    });
    await within(patience, durable, () => {
      throw new AntequemError('database-silent', `the database did not answer within ${patience} ms`);
    });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, GROUP);
      try {
        await this.#insert(group);
        for (const { resolve } of group) resolve();
        this.onTaken(group.length);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = false;
  }

  async #insert(group: readonly Queued[]): Promise<void> {
    const { database, effects, maxWaiting } = this.#options;
    // Two index look-ups instead of a count: ids are given in order and removed from the lowest on.
    const { rowCount } = await database.query({
      name: 'take-digests',
      text: `INSERT INTO digests (commitment, taken_at) SELECT commitment, $2 FROM unnest($1::bytea[]) AS c (commitment)
             WHERE (SELECT coalesce(max(id) - min(id) + 1, 0) FROM digests) < $3`,
      values: [group.map(({ commitment }) => Buffer.from(commitment)), effects.now(), maxWaiting],
    });
    if (rowCount !== group.length) throw overloaded();
  }
}

function overloaded(): AntequemError {
  return new AntequemError('overloaded', 'too many digests wait already: try again later');
}

/** Takes the commitments that have waited longest for a round. They are removed when the transaction commits. */
export async function takeDigests(tx: Transaction, most: number): Promise<Uint8Array[]> {
  const { rows } = await tx.query<{ commitment: Uint8Array }>(
    'DELETE FROM digests WHERE id IN (SELECT id FROM digests ORDER BY id LIMIT $1) RETURNING commitment',
    [most],
  );
  return rows.map(({ commitment }) => new Uint8Array(commitment));
}
