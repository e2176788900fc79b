import { createHash, timingSafeEqual } from 'node:crypto';
import { FormatError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { checkLogName } from '../core/origin.ts';
import type { Log } from '../log/log.ts';
import type { Sequencing } from '../log/sequence.ts';
import { recordedTransaction } from '../log/system.ts';
import type { Database } from '../store/database.ts';

export const SCOPES = ['append', 'read', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** An API key without its secret. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** The logs it is for; null: all. */
  readonly logs: readonly string[] | null;
  readonly createdAt: number;
  readonly revokedAt: number | null;
}

interface KeyRow {
  id: string;
  name: string;
  secret_hash: Uint8Array;
  scopes: Scope[];
  logs: string[] | null;
  created_at: number;
  revoked_at: number | null;
}

const TOKEN = /^aq_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const NAME = /^[^\p{Cc}\p{Cs}]{1,200}$/u;
/** How long a revoked key may still work in a process that saw it before. */
const CACHE_MS = 5_000;
const CACHED_KEYS = 10_000;

/** Makes, lists, revokes and checks API keys. Each making and revoking is an entry of `_system`. */
export class ApiKeys {
  readonly #database: Database;
  readonly #system: Log;
  readonly #sequencing: Sequencing;
  readonly #cache = new LruCache<string, { row: KeyRow | null; readAt: number }>(CACHED_KEYS);

  constructor(database: Database, system: Log, sequencing: Sequencing) {
    this.#database = database;
    this.#system = system;
    this.#sequencing = sequencing;
  }

  /** Makes a key. The token is returned here and never again: only a hash of its secret is stored. */
  async create(
    name: string,
    scopes: readonly Scope[],
    logs: readonly string[] | null,
  ): Promise<{ key: ApiKey; token: string }> {
    if (!NAME.test(name)) {
      throw new FormatError(
        'key-name-invalid',
        'a key needs a name of 1 to 200 characters, without control characters',
      );
    }
    if (scopes.length === 0 || scopes.some((scope) => !SCOPES.includes(scope))) {
      throw new FormatError('key-scopes-invalid', `a key needs scopes out of ${SCOPES.join(', ')}`);
    }
    for (const log of logs ?? []) checkLogName(log);
    const { random, now } = this.#sequencing.effects;
    const id = Buffer.from(random(8)).toString('hex');
    // 256 random bits: no dictionary to stretch against, so one SHA-256 is hash enough.
    const secret = Buffer.from(random(32)).toString('base64url');
    const createdAt = now();
    await recordedTransaction(this.#database, this.#system, this.#sequencing, async (tx) => {
      await tx.query(
        'INSERT INTO api_keys (id, name, secret_hash, scopes, logs, created_at) VALUES ($1, $2, $3, $4, $5, $6)',
        [id, name, hashSecret(secret), scopes, logs, createdAt],
      );
      const secretHash = hashSecret(secret).toString('hex');
      return { result: undefined, acts: [{ act: 'key-created', key: id, name, scopes, logs, secretHash }] };
    });
    return { key: { id, name, scopes, logs, createdAt, revokedAt: null }, token: `aq_${id}_${secret}` };
  }

  /** All keys, revoked ones too, oldest first. */
  async list(): Promise<ApiKey[]> {
    const { rows } = await this.#database.query<KeyRow>('SELECT * FROM api_keys ORDER BY created_at, id');
    return rows.map(keyOf);
  }

  /** Whether any key could be used. */
  async any(): Promise<boolean> {
    const { rowCount } = await this.#database.query('SELECT 1 FROM api_keys WHERE revoked_at IS NULL LIMIT 1');
    return rowCount === 1;
  }

  /** Revokes a key; false if no key has that id or it was revoked before. */
  async revoke(id: string): Promise<boolean> {
    const revoked = await recordedTransaction(this.#database, this.#system, this.#sequencing, async (tx) => {
      const { rowCount } = await tx.query('UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL', [
        id,
        this.#sequencing.effects.now(),
      ]);
      return rowCount === 1 ? { result: true, acts: [{ act: 'key-revoked', key: id }] } : { result: false, acts: [] };
    });
    this.#cache.delete(id);
    return revoked;
  }

  /** The key that a token proves, null where it proves none. */
  async authenticate(token: string): Promise<ApiKey | null> {
    const match = TOKEN.exec(token);
    const [, id, secret] = match ?? [];
    if (id === undefined || secret === undefined) return null;
    const row = await this.#find(id);
    if (row === null || row.revoked_at !== null) return null;
    return timingSafeEqual(hashSecret(secret), row.secret_hash) ? keyOf(row) : null;
  }

  /** The key with that id; null if there is none or it was revoked. */
  async find(id: string): Promise<ApiKey | null> {
    const row = await this.#find(id);
    return row === null || row.revoked_at !== null ? null : keyOf(row);
  }

  async #find(id: string): Promise<KeyRow | null> {
    const now = this.#sequencing.effects.now();
    const cached = this.#cache.get(id);
    // A clock set back must not lengthen a revoked key's life: what seems to be read later than now is read again.
    if (cached !== undefined && now >= cached.readAt && now - cached.readAt < CACHE_MS) return cached.row;
    const { rows } = await this.#database.query<KeyRow>('SELECT * FROM api_keys WHERE id = $1', [id]);
    const row = rows[0] ?? null;
    this.#cache.set(id, { row, readAt: now });
    return row;
  }
}

/** Whether a key may do this, to this log where it is about one. `admin` may do all; `any` is what every key may. */
export function permits(key: ApiKey, scope: Scope | 'any', log: string | null): boolean {
  if (key.logs !== null && (log === null || !key.logs.includes(log))) return false;
  return scope === 'any' || key.scopes.includes(scope) || key.scopes.includes('admin');
}

function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function keyOf(row: KeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    scopes: row.scopes,
    logs: row.logs,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
  };
}
