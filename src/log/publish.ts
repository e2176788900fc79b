import { equalBytes } from '../core/bytes.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { joinNotes } from '../core/note.ts';
import { within } from '../core/time-limit.ts';
import { Batch, inOrder } from '../store/batch.ts';
import type { Queryable } from '../store/database.ts';
import { checkpointConflict } from './checkpoint-conflict.ts';
import { demandPart, dueSizes, type LogSize, readLeafRoots } from './due-checkpoints.ts';
import type { Guard } from './guard.ts';
import type { Log, LogHead } from './log.ts';
import type { Registry } from './registry.ts';
import type { LogSigner } from './seed.ts';
import { TileStore } from './tilestore.ts';

/** A checkpoint with its signatures. */
export interface Published extends Checkpoint {
  /** The signed note. */
  readonly note: string;
}

/** A checkpoint as it is recorded. */
export interface RecordedCheckpoint {
  readonly root: Uint8Array;
  /** The signed note. */
  readonly note: string;
}

/** The checkpoints that the service shows. */
export interface Checkpoints {
  /** The newest one. @throws AntequemError as `Publisher.publish` */
  current(log: Log): Promise<Published>;
  /** One that covers entry `index`, which is durable. @throws AntequemError as `Publisher.publish` */
  covering(log: Log, index: number): Promise<Published>;
  /** One that covers the durable entry `index`, with cosignatures of witnesses if they come in time. */
  witnessed(log: Log, index: number): Promise<Published>;
  /**
   * The one of exactly that size. One that a round has and nobody asked for before is signed now. Null where no round has that
   * size and none was signed. @param recorded the one of that size, as the caller has just read it
   * @throws AntequemError as `Publisher.publish`
   */
  at(log: Log, size: number, recorded?: RecordedCheckpoint | null): Promise<Published | null>;
}

export interface PublisherOptions {
  /** Default: none, so that nothing is compared with what was published. */
  readonly guard?: Guard;
  /** Milliseconds that a signature may take. Default 5,000. */
  readonly signPatience?: number;
  /** Default: one of its own. */
  readonly tiles?: TileStore;
}

/** Sizes of a log that are signed at a time before a key is retired. */
const DUE_PAGE = 500;

/** The newest published checkpoint of a log, and how often keys had changed when it was signed. */
interface Latest {
  readonly published: Published;
  readonly keyEpoch: number;
}

interface RecordedAt {
  readonly log: number;
  readonly size: number;
}

type DueAnswer = Published | null | AntequemError;

/**
 * Signs checkpoints of durable heads. Each is recorded before it is published, with one root for each size: a head that
 * contradicts an earlier checkpoint is refused.
 */
export class Publisher implements Checkpoints {
  readonly #database: Queryable;
  readonly #registry: Registry;
  readonly #now: () => number;
  readonly #guard: Guard | null;
  readonly #signPatience: number;
  readonly #latest = new LruCache<number, Latest>(20_000);
  readonly #recorded: RecordedCheckpoints;
  readonly #tiles: TileStore;
  readonly #due: Batch<LogSize, DueAnswer>;

  constructor(database: Queryable, registry: Registry, now: () => number, options: PublisherOptions = {}) {
    this.#database = database;
    this.#registry = registry;
    this.#now = now;
    this.#guard = options.guard ?? null;
    this.#signPatience = options.signPatience ?? 5_000;
    this.#recorded = new RecordedCheckpoints(database);
    this.#tiles = options.tiles ?? new TileStore(database);
    this.#due = new Batch((asked) => this.#signDue(asked));
  }

  /** The checkpoint of the log's head as it is now. */
  async current(log: Log): Promise<Published> {
    for (;;) {
      const head = await this.#registry.head(log);
      const latest = await this.#remembered(log);
      if (latest?.size === head.size && equalBytes(latest.root, head.root)) return latest;
      const { keyEpoch } = this.#registry;
      const { published, newest } = await this.#publish(this.#database, [{ log, head }]);
      // Another process has published a larger one: clients of both must not see the log shrink.
      if (!newest) continue;
      const [checkpoint] = published;
      if (checkpoint === undefined) throw new AntequemError('internal', 'no checkpoint came of publishing');
      this.#latest.set(log.id, { published: checkpoint, keyEpoch });
      return checkpoint;
    }
  }

  /** A checkpoint that covers entry `index`: the latest published one if it does, else the current one. */
  async covering(log: Log, index: number): Promise<Published> {
    const latest = await this.#remembered(log);
    return latest !== null && latest.size > index ? latest : this.current(log);
  }

  witnessed(log: Log, index: number): Promise<Published> {
    return this.covering(log, index);
  }

  /** The size of the largest checkpoint that this process has shown; 0: of none. */
  shown(log: Log): number {
    return this.#latest.get(log.id)?.published.size ?? 0;
  }

  /** Whether a checkpoint of that size or a larger one was signed, or a round has one to be signed. */
  async covers(log: Log, size: number): Promise<boolean> {
    if ((this.#latest.get(log.id)?.published.size ?? -1) >= size) return true;
    const { rowCount } = await this.#database.query({
      name: 'published-size',
      text: `SELECT 1 WHERE EXISTS (SELECT FROM checkpoints WHERE log = $1 AND size >= $2)
                OR EXISTS (SELECT FROM round_logs WHERE log = $1 AND size >= $2)`,
      values: [log.id, size],
    });
    return rowCount === 1;
  }

  async at(log: Log, size: number, recorded: RecordedCheckpoint | null = null): Promise<Published | null> {
    if (recorded !== null) return { origin: log.origin, size, ...recorded };
    const answer = (await this.#recorded.at(log, size)) ?? (await this.#due.get({ log, size }));
    if (answer instanceof AntequemError) throw answer;
    return answer;
  }

  /** Signs all that rounds have of a log and nobody asked for. @throws AntequemError as `publish` */
  async signAllDue(log: Log): Promise<void> {
    for (let after = -1; ; ) {
      const sizes = await dueSizes(this.#database, log, after, DUE_PAGE);
      await Promise.all(sizes.map((size) => this.at(log, size)));
      const last = sizes.at(-1);
      if (last === undefined || sizes.length < DUE_PAGE) return;
      after = last;
    }
  }

  /** The largest checkpoint of a log that any process signed; null: none. */
  async newest(log: Log): Promise<Published | null> {
    const { rows } = await this.#database.query<{ size: number; root: Uint8Array; note: string }>(
      'SELECT size, root, note FROM checkpoints WHERE log = $1 ORDER BY size DESC LIMIT 1',
      [log.id],
    );
    const row = rows[0];
    return row === undefined ? null : { ...row, origin: log.origin, root: new Uint8Array(row.root) };
  }

  /**
   * Signs and records the checkpoints of these heads, which must be durable.
   * @throws AntequemError `checkpoint-conflict` where another root of that size was signed before; `database-set-back`,
   *   `guard-unavailable`, `signer-silent`
   */
  async publish(db: Queryable, heads: readonly { log: Log; head: LogHead }[]): Promise<Published[]> {
    return (await this.#publish(db, heads)).published;
  }

  /** The checkpoint that was published last, unless keys have changed since: then it may have more signatures by now. */
  async #remembered(log: Log): Promise<Published | null> {
    await this.#registry.noticeKeys();
    const latest = this.#latest.get(log.id);
    return latest?.keyEpoch === this.#registry.keyEpoch ? latest.published : null;
  }

  async #publish(
    db: Queryable,
    heads: readonly { log: Log; head: LogHead }[],
  ): Promise<{ published: Published[]; newest: boolean }> {
    const newest = (await this.#guard?.release(db, heads)) ?? true;
    return { published: await this.#sign(db, heads), newest };
  }

  /** A leaf that contradicts its log is refused alone; what else was asked with it is signed. */
  async #signDue(asked: readonly LogSize[]): Promise<DueAnswer[]> {
    const roots = await readLeafRoots(this.#database, asked);
    const answers = await Promise.all(
      asked.map(async ({ log, size }, i): Promise<{ log: Log; head: LogHead } | null | AntequemError> => {
        const root = roots[i] ?? null;
        if (root === null) return null;
        const head = { size, root };
        try {
          await demandPart(this.#registry, this.#tiles, log, head);
          return { log, head };
        } catch (error) {
          if (error instanceof AntequemError) return error;
          throw error;
        }
      }),
    );
    const heads = answers.flatMap((answer) => (answer === null || answer instanceof AntequemError ? [] : [answer]));
    const published = heads.length === 0 ? [] : await this.publish(this.#database, heads);
    const signed = new Map(heads.map((head, i) => [head, published[i] ?? null]));
    return answers.map((answer) =>
      answer === null || answer instanceof AntequemError ? answer : (signed.get(answer) ?? null),
    );
  }

  async #sign(db: Queryable, heads: readonly { log: Log; head: LogHead }[]): Promise<Published[]> {
    const signers = await this.#registry.prepareSigners(
      heads.map(({ log }) => log),
      db,
    );
    const published: Published[] = [];
    for (const { log, head } of heads) {
      const checkpoint = { origin: log.origin, size: head.size, root: head.root };
      const notes: string[] = [];
      for (const signer of signers.get(log.id) ?? []) notes.push(await this.#signed(signer, checkpoint));
      published.push({ ...checkpoint, note: joinNotes(notes) });
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
    // Some exist already. They are read by a second statement: the snapshot of the first one may lack what it waited for. The
    // recorded note is the one to publish, even if it has other signatures: not every process may know a change of keys yet.
    const { rows } = await db.query<{ note: string }>(
      `SELECT c.note FROM unnest($1::int[], $2::bigint[], $3::bytea[]) WITH ORDINALITY AS s (log, size, root, n)
       JOIN checkpoints c USING (log, size) WHERE c.root = s.root ORDER BY s.n`,
      [logs, sizes, roots],
    );
    if (rows.length !== heads.length) throw checkpointConflict();
    return published.map((checkpoint, i) => ({ ...checkpoint, note: rows[i]?.note ?? checkpoint.note }));
  }

  /** A signer may be another machine: no lock is held while waiting for it. */
  async #signed(signer: LogSigner, checkpoint: Checkpoint): Promise<string> {
    const note = signer.sign(checkpoint);
    if (typeof note === 'string') return note;
    return within(this.#signPatience, note, () => {
      const says = `the signer of ${signer.origin} has not answered for ${this.#signPatience} ms`;
      throw new AntequemError('signer-silent', says);
    });
  }
}

/** The checkpoints that were signed, read without signing any. */
export class RecordedCheckpoints {
  readonly #recorded: Batch<RecordedAt, RecordedCheckpoint | null>;

  constructor(database: Queryable) {
    this.#recorded = new Batch((heads) => readRecorded(database, heads));
  }

  /** The one of exactly that size, null where none was signed. */
  async at(log: Log, size: number): Promise<Published | null> {
    const recorded = await this.#recorded.get({ log: log.id, size });
    return recorded === null ? null : { origin: log.origin, size, ...recorded };
  }
}

/** The checkpoints of exactly these sizes, null where none was signed. */
async function readRecorded(database: Queryable, heads: readonly RecordedAt[]): Promise<(RecordedCheckpoint | null)[]> {
  const { rows } = await database.query<{ n: number; root: Uint8Array; note: string }>({
    name: 'read-checkpoints',
    text: `SELECT q.n::int, c.root, c.note FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS q (log, size, n)
           JOIN checkpoints c ON c.log = q.log AND c.size = q.size`,
    values: [heads.map(({ log }) => log), heads.map(({ size }) => size)],
  });
  return inOrder(rows, heads.length, ({ root, note }) => ({ root: new Uint8Array(root), note }));
}
