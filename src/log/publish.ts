import { equalBytes } from '../core/bytes.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import { AntequemError } from '../core/errors.ts';
import type { Queryable } from '../store/database.ts';
import type { Head, Log } from './log.ts';
import type { Registry } from './registry.ts';

/** A checkpoint with its signatures. */
export interface Published extends Checkpoint {
  /** The signed note. */
  readonly note: string;
}

/**
 * Signs checkpoints of durable heads. Each is recorded before it is handed out, one root for each size: a head that
 * contradicts what was signed before is refused, not signed.
 */
export class Publisher {
  readonly #database: Queryable;
  readonly #registry: Registry;
  readonly #now: () => number;
  readonly #latest = new Map<number, Published>();

  constructor(database: Queryable, registry: Registry, now: () => number) {
    this.#database = database;
    this.#registry = registry;
    this.#now = now;
  }

  /** The checkpoint of the log's head as it is now. */
  async current(log: Log): Promise<Published> {
    const head = await this.#registry.head(log);
    const latest = this.#latest.get(log.id);
    if (latest?.size === head.size && equalBytes(latest.root, head.root)) return latest;
    const [published] = await this.publish(this.#database, [{ log, head }]);
    if (published === undefined) throw new AntequemError('internal', 'no checkpoint came of publishing');
    if (this.#latest.size >= 20_000) this.#latest.clear();
    this.#latest.set(log.id, published);
    return published;
  }

  /** A checkpoint that covers entry `index`: the latest one handed out where it does, else the current one. */
  async covering(log: Log, index: number): Promise<Published> {
    const latest = this.#latest.get(log.id);
    return latest !== undefined && latest.size > index ? latest : this.current(log);
  }

  /** The checkpoint of exactly that size, null where none was signed. */
  async at(log: Log, size: number): Promise<Published | null> {
    const { rows } = await this.#database.query<{ root: Uint8Array; note: string }>(
      'SELECT root, note FROM checkpoints WHERE log = $1 AND size = $2',
      [log.id, size],
    );
    const row = rows[0];
    return row === undefined ? null : { origin: log.origin, size, root: new Uint8Array(row.root), note: row.note };
  }

  /**
   * Signs and records the checkpoints of these heads, which must be durable or become so with the transaction `db`.
   * @throws AntequemError `checkpoint-conflict` where another root of that size was signed before
   */
  async publish(db: Queryable, heads: readonly { log: Log; head: Head }[]): Promise<Published[]> {
    await this.#registry.prepareSigners(heads.map(({ log }) => log));
    const published: Published[] = [];
    for (const { log, head } of heads) {
      const checkpoint = { origin: log.origin, size: head.size, root: head.root };
      const signer = await this.#registry.signer(log);
      published.push({ ...checkpoint, note: signer.sign(checkpoint) });
    }
    const { rowCount } = await db.query(
      // The update of a conflicting row changes nothing, and happens only where the roots agree: every row counts, or
      // some checkpoint contradicts one that was signed.
      `WITH signed AS (
         SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[], $4::text[]) AS s (log, size, root, note)
       ), added AS (
         INSERT INTO checkpoints (log, size, root, note, signed_at) SELECT log, size, root, note, $5::bigint FROM signed
         ON CONFLICT DO NOTHING RETURNING log
       )
       SELECT log FROM added UNION ALL SELECT s.log FROM signed s JOIN checkpoints c USING (log, size) WHERE c.root = s.root`,
      [
        heads.map(({ log }) => log.id),
        published.map(({ size }) => size),
        published.map(({ root }) => root),
        published.map(({ note }) => note),
        this.#now(),
      ],
    );
    if (rowCount !== heads.length) {
      throw new AntequemError(
        'checkpoint-conflict',
        'a checkpoint with another root was signed at this size before: the database was altered or set back; run an audit',
      );
    }
    return published;
  }
}
