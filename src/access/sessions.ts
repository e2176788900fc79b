import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Effects } from '../log/log.ts';
import type { Database } from '../store/database.ts';
import type { ApiKey, ApiKeys } from './keys.ts';

/** Milliseconds after signing in. */
export const SESSION_MS = 12 * 3_600_000;
/** Of one key at once; the oldest give way. */
const MOST_SESSIONS = 100;
const SECRET = /^[A-Za-z0-9_-]{43}$/;

/** People at the service's pages: an API key exchanged for a secret that a browser keeps where no script reads it. */
export class Sessions {
  readonly #database: Database;
  readonly #keys: ApiKeys;
  readonly #effects: Effects;
  readonly #pepper: Uint8Array;

  /** @param pepper kept outside the database: writing to the database alone is not enough to make a session */
  constructor(database: Database, keys: ApiKeys, effects: Effects, pepper: Uint8Array) {
    this.#database = database;
    this.#keys = keys;
    this.#effects = effects;
    this.#pepper = pepper;
  }

  /** The secret of a new session, null where the token proves no key. Only hashes of it are kept. */
  async open(token: string): Promise<{ secret: string; key: ApiKey } | null> {
    const key = await this.#keys.authenticate(token);
    if (key === null) return null;
    const now = this.#effects.now();
    const secret = Buffer.from(this.#effects.random(32)).toString('base64url');
    await this.#database.query('DELETE FROM sessions WHERE expires_at <= $1', [now]);
    await this.#database.query(
      'INSERT INTO sessions (id, key, proof, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)',
      [idOf(secret), key.id, this.#proof(secret, key.id, now + SESSION_MS), now, now + SESSION_MS],
    );
    await this.#database.query(
      `DELETE FROM sessions WHERE key = $1 AND id NOT IN
         (SELECT id FROM sessions WHERE key = $1 ORDER BY created_at DESC LIMIT $2)`,
      [key.id, MOST_SESSIONS],
    );
    return { secret, key };
  }

  /** The key of a session; null if there is no such session, it has expired or its key was revoked. */
  async find(secret: string): Promise<ApiKey | null> {
    if (!SECRET.test(secret)) return null;
    const { rows } = await this.#database.query<{ key: string; proof: Uint8Array; expires_at: number }>({
      name: 'find-session',
      text: 'SELECT key, proof, expires_at FROM sessions WHERE id = $1',
      values: [idOf(secret)],
    });
    const row = rows[0];
    if (row === undefined || row.expires_at <= this.#effects.now()) return null;
    if (!timingSafeEqual(this.#proof(secret, row.key, row.expires_at), row.proof)) return null;
    return this.#keys.find(row.key);
  }

  async close(secret: string): Promise<void> {
    await this.#database.query('DELETE FROM sessions WHERE id = $1', [idOf(secret)]);
  }

  #proof(secret: string, key: string, expiresAt: number): Buffer {
    return createHmac('sha256', this.#pepper).update(`${secret} ${key} ${expiresAt}`).digest();
  }
}

/** 256 random bits: no dictionary to stretch against. */
function idOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
