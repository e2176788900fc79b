import { equalBytes, toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { checkLogName, logId, logOrigin, SYSTEM_LOG } from '../core/origin.ts';
import { Batch, inOrder } from '../store/batch.ts';
import { type Database, type Queryable, transaction } from '../store/database.ts';
import { serviceName, takeLock } from '../store/service-name.ts';
import type { Log, LogHead } from './log.ts';
import type { KeyRing, LogSigner } from './seed.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction } from './system.ts';

export interface LogRow {
  id: number;
  name: string;
  origin: string;
  log_id: Uint8Array;
  blinded: boolean;
  created_at: number;
}

export const LOG_COLUMNS = 'id, name, origin, log_id, blinded, created_at';

/** Milliseconds between looks whether keys of logs were added or retired by another process. */
const KEYS_TRUSTED = 10_000;

/** The logs of one service and their keys. */
export class Registry {
  readonly serviceOrigin: string;
  /** The log of the service's own acts. */
  readonly system: Log;
  readonly #database: Database;
  readonly #seed: KeyRing;
  readonly #sequencing: Sequencing;
  readonly #known = new LruCache<string, Log>(20_000);
  readonly #signers = new Map<number, readonly LogSigner[]>();
  #keyEpoch = 0;
  /** How often keys were changed in the database, as of the last look. */
  #changes: number | null = null;
  #lookedAt: number | null = null;
  readonly #heads: Batch<number, LogHead | null>;

  private constructor(database: Database, serviceOrigin: string, seed: KeyRing, sequencing: Sequencing, system: Log) {
    this.#database = database;
    this.serviceOrigin = serviceOrigin;
    this.#seed = seed;
    this.#sequencing = sequencing;
    this.system = system;
    this.#heads = new Batch((logs) => readHeads(database, logs));
  }

  /**
   * Opens the registry and makes `_system` in a new database.
   * @throws AntequemError `origin-changed`, `seed-changed` where the database belongs to another origin or seed
   */
  static async open(
    database: Database,
    serviceOrigin: string,
    seed: KeyRing,
    sequencing: Sequencing,
  ): Promise<Registry> {
    const origin = logOrigin(serviceOrigin, SYSTEM_LOG);
    const signer = seed.signer(origin);
    const system = await transaction(database, async (tx) => {
      // There may be no _system yet, by whose origin the database knows the name of the service.
      await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`${serviceName(serviceOrigin)} open`]);
      const found = await findLog(tx, SYSTEM_LOG);
      // Unblinded: the service's acts are public, so that everybody can check their commitments.
      return found ?? insertLog(tx, SYSTEM_LOG, origin, false, signer.publicKey, sequencing.effects.now());
    });
    if (system.origin !== origin) {
      throw new AntequemError(
        'origin-changed',
        `this database belongs to ${system.origin}, not to ${origin}: set ORIGIN back, origins are fixed for ever`,
      );
    }
    const registry = new Registry(database, serviceOrigin, seed, sequencing, system);
    await registry.signer(system);
    return registry;
  }

  /** The log of that name, null where there is none; at once where it is remembered. */
  find(name: string): Log | Promise<Log | null> {
    return this.#known.get(name) ?? this.#look(name);
  }

  async #look(name: string): Promise<Log | null> {
    checkLogName(name);
    const log = await findLog(this.#database, name);
    if (log !== null) this.#remember(log);
    return log;
  }

  /**
   * Makes a log, or finds the one of that name: making it twice changes nothing.
   * @throws AntequemError `log-name-invalid`; `log-exists` when it is there with other properties
   */
  async create(name: string, options: { blinded: boolean }): Promise<{ log: Log; created: boolean }> {
    checkLogName(name);
    if (name === SYSTEM_LOG) throw new AntequemError('log-reserved', '_system is the log of the service itself');
    const origin = logOrigin(this.serviceOrigin, name);
    const { publicKey } = this.#seed.signer(origin);
    const { now } = this.#sequencing.effects;
    const result = await recordedTransaction(this.#database, this.system, this.#sequencing, async (tx) => {
      await takeLock(tx, `log ${name}`);
      const found = await findLog(tx, name);
      if (found !== null) return { result: { log: found, created: false }, acts: [] };
      const log = await insertLog(tx, name, origin, options.blinded, publicKey, now());
      const act = { act: 'log-created', log: origin, blinded: options.blinded, publicKey: toHex(publicKey) } as const;
      return { result: { log, created: true }, acts: [act] };
    });
    if (result.log.blinded !== options.blinded) {
      throw new AntequemError(
        'log-exists',
        `the log ${name} exists with blinded=${result.log.blinded}, which is fixed`,
      );
    }
    this.#remember(result.log);
    return result;
  }

  /** Logs in the bytewise order of their names, at most `limit` after `after`. */
  async list(after: string, limit: number): Promise<(Log & LogHead)[]> {
    const { rows } = await this.#database.query<LogRow & { size: number; root: Uint8Array }>(
      `SELECT ${LOG_COLUMNS}, size, root FROM log_states WHERE name COLLATE "C" > $1 ORDER BY name COLLATE "C" LIMIT $2`,
      [after, limit],
    );
    return rows.map((row) => ({ ...logOf(row), size: row.size, root: new Uint8Array(row.root) }));
  }

  /** The durable head of a log. */
  async head(log: Log): Promise<LogHead> {
    const head = await this.#heads.get(log.id);
    if (head === null) throw new AntequemError('log-damaged', `log ${log.name} has no row any more`);
    return head;
  }

  /** The newest key of a log. @throws AntequemError `seed-changed` */
  async signer(log: Log): Promise<LogSigner> {
    const signer = (await this.signers(log)).at(-1);
    if (signer === undefined) throw new AntequemError('internal', `no key for ${log.name}`);
    return signer;
  }

  /** The keys that sign for a log, all of them together, the oldest first. @throws AntequemError `seed-changed` */
  async signers(log: Log): Promise<readonly LogSigner[]> {
    return (await this.prepareSigners([log])).get(log.id) ?? [];
  }

  /** The key that will be number `number` of a log. @param mlDsa whether it signs by ML-DSA as well */
  newSigner(log: Log, number: number, mlDsa: boolean): LogSigner {
    const signer = this.#seed.signer(log.origin, number);
    return mlDsa ? signer.withMlDsa() : signer;
  }

  /** Goes up when keys have changed: notes that were signed before may lack signatures of new keys. */
  get keyEpoch(): number {
    return this.#keyEpoch;
  }

  /**
   * The keys of many logs by their ids, with one query. Callers within a transaction pass it: waiting for a second connection
   * while holding locks could block for ever.
   * @throws AntequemError `seed-changed`
   */
  async prepareSigners(
    logs: readonly Log[],
    db: Queryable = this.#database,
  ): Promise<ReadonlyMap<number, readonly LogSigner[]>> {
    await this.noticeKeys(db);
    const epoch = this.#keyEpoch;
    const found = new Map<number, readonly LogSigner[]>();
    const missing: Log[] = [];
    for (const log of logs) {
      const signers = this.#signers.get(log.id);
      if (signers === undefined) missing.push(log);
      else found.set(log.id, signers);
    }
    if (missing.length === 0) return found;
    const { rows } = await db.query<{ log: number; number: number; public_key: Uint8Array; ml_dsa: boolean }>(
      `SELECT k.log, k.number, k.public_key, l.ml_dsa FROM log_keys k JOIN logs l ON l.id = k.log
       WHERE k.log = ANY($1) AND k.revoked_at IS NULL ORDER BY k.log, k.number`,
      [missing.map((log) => log.id)],
    );
    const keys = Map.groupBy(rows, (row) => row.log);
    for (const log of missing) {
      const signers = (keys.get(log.id) ?? []).map(({ number, public_key, ml_dsa }) => {
        const signer = this.#seed.signer(log.origin, number, public_key);
        if (!equalBytes(signer.publicKey, public_key)) throw seedChanged(log);
        return ml_dsa ? signer.withMlDsa() : signer;
      });
      if (signers.length === 0) throw seedChanged(log);
      found.set(log.id, signers);
      // Some hundred bytes each, those of ML-DSA five thousand, so that all logs of a service fit. Keys read before a change are not kept.
      if (epoch === this.#keyEpoch) this.#signers.set(log.id, signers);
    }
    return found;
  }

  /** All keys that ever signed for these logs and that a seed still makes, log by log and the oldest first. */
  async derivable(logs: readonly Log[]): Promise<LogSigner[]> {
    const { rows } = await this.#database.query<{ n: number; number: number; public_key: Uint8Array }>(
      `SELECT q.n::int, k.number, k.public_key FROM unnest($1::int[]) WITH ORDINALITY AS q (log, n)
       JOIN log_keys k USING (log) ORDER BY q.n, k.number`,
      [logs.map(({ id }) => id)],
    );
    return rows.flatMap(({ n, number, public_key }) => {
      const log = logs[n - 1];
      if (log === undefined) return [];
      const signer = this.#seed.signer(log.origin, number, public_key);
      return equalBytes(signer.publicKey, public_key) ? [signer] : [];
    });
  }

  /** Looks whether keys were added or retired, at most once in ten seconds and with one row for all logs. */
  async noticeKeys(db: Queryable = this.#database): Promise<void> {
    const now = this.#sequencing.effects.now();
    const lookedAt = this.#lookedAt;
    if (lookedAt !== null && Math.abs(now - lookedAt) < KEYS_TRUSTED) return;
    // One look serves all callers.
    this.#lookedAt = now;
    try {
      const { rows } = await db.query<{ changes: number }>('SELECT changes FROM log_key_changes');
      const changes = rows[0]?.changes ?? 0;
      if (this.#changes !== null && this.#changes !== changes) this.forgetKeys();
      this.#changes = changes;
    } catch (error) {
      this.#lookedAt = lookedAt;
      throw error;
    }
  }

  /** Forgets the keys, so that they are read again. */
  forgetKeys(): void {
    this.#keyEpoch++;
    this.#signers.clear();
  }

  /** The same, and looks whether they have changed since. */
  doubtKeys(): void {
    this.forgetKeys();
    this.#lookedAt = null;
    this.#changes = null;
  }

  #remember(log: Log): void {
    this.#known.set(log.name, log);
  }
}

function seedChanged(log: Log): AntequemError {
  return new AntequemError(
    'seed-changed',
    `no log seed makes a key that signs for ${log.origin}: put the right LOG_SEED_FILE back, with every seed in use`,
  );
}

export function logOf(row: LogRow): Log {
  const { id, name, origin, blinded } = row;
  return { id, name, origin, logId: new Uint8Array(row.log_id), blinded, createdAt: row.created_at };
}

async function findLog(db: Queryable, name: string): Promise<Log | null> {
  const { rows } = await db.query<LogRow>(`SELECT ${LOG_COLUMNS} FROM logs WHERE name = $1`, [name]);
  return rows[0] === undefined ? null : logOf(rows[0]);
}

async function insertLog(
  tx: Queryable,
  name: string,
  origin: string,
  blinded: boolean,
  publicKey: Uint8Array,
  now: number,
): Promise<Log> {
  const { rows } = await tx.query<LogRow>(
    `INSERT INTO logs (name, origin, log_id, blinded, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING ${LOG_COLUMNS}`,
    [name, origin, Buffer.from(logId(origin)), blinded, now],
  );
  const row = rows[0];
  if (row === undefined) throw new AntequemError('internal', 'the new log has no row');
  await tx.query('INSERT INTO log_keys (log, number, public_key, created_at) VALUES ($1, 1, $2, $3)', [
    row.id,
    Buffer.from(publicKey),
    now,
  ]);
  return logOf(row);
}

/** The heads of these logs as they are now, null where there is no such log. */
async function readHeads(database: Queryable, logs: readonly number[]): Promise<(LogHead | null)[]> {
  const { rows } = await database.query<{ n: number; size: number; root: Uint8Array }>({
    name: 'read-heads',
    text: `SELECT q.n::int, l.size, l.root FROM unnest($1::int[]) WITH ORDINALITY AS q (id, n) JOIN log_states l ON l.id = q.id`,
    values: [logs],
  });
  return inOrder(rows, logs.length, ({ size, root }) => ({ size, root: new Uint8Array(root) }));
}
