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
    await this.#registry.prepareSigners(
      heads.map(({ log }) => log),
      db,
    );
    const published: Published[] = [];
    for (const { log, head } of heads) {
      const checkpoint = { origin: log.origin, size: head.size, root: head.root };
      const signer = await this.#registry.signer(log);
      published.push({ ...checkpoint, note: signer.sign(checkpoint) });
    }
    const logs = heads.map(({ log }) => log.id);
    const sizes = published.map(({ size }) => size);
    const roots = published.map(({ root }) => Buffer.from(root));
    const added = await db.query(
      `INSERT INTO checkpoints (log, size, root, note, signed_at)
       SELECT log, size, root, note, $5::bigint
       FROM unnest($1::int[], $2::bigint[], $3::bytea[], $4::text[]) AS s (log, size, root, note)
       ON CONFLICT DO NOTHING`,
      [logs, sizes, roots, published.map(({ note }) => note), this.#now()],
    );
    if (added.rowCount === heads.length) return published;
    // Some were there. A statement of its own, for the first one's snapshot lacks what another process committed while
    // it waited for that.
    const { rowCount } = await db.query(
      `SELECT 1 FROM unnest($1::int[], $2::bigint[], $3::bytea[]) AS s (log, size, root)
       JOIN checkpoints c USING (log, size) WHERE c.root = s.root`,
      [logs, sizes, roots],
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
