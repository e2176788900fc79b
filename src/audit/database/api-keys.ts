import { toHex } from '../../core/bytes.ts';
import type { Queryable } from '../../store/database.ts';
import { near } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';

interface Told {
  readonly key: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly logs: readonly string[] | null;
  readonly secretHash: string;
  readonly createdAt: number;
}

interface KeyRow {
  id: string;
  name: string;
  secret_hash: Uint8Array;
  scopes: string[];
  logs: string[] | null;
  created_at: number;
  revoked_at: number | null;
}

/** The API keys that `_system` tells of, compared with those that are there. */
export class ApiKeyActs {
  readonly #findings: Findings;
  readonly #told = new Map<string, Told & { revokedAt: number | null }>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  created(told: Told): void {
    this.#told.set(told.key, { ...told, revokedAt: null });
  }

  revoked(key: string, at: number, index: number): void {
    const told = this.#told.get(key);
    if (told !== undefined) told.revokedAt ??= at;
    else
      this.#findings.add(
        'api-key-differs',
        {},
        `entry ${index} of _system revokes key ${key}, of which it did not tell before`,
      );
  }

  async finish(db: Queryable): Promise<void> {
    const { rows } = await db.query<KeyRow>('SELECT * FROM api_keys ORDER BY id');
    for (const row of rows) {
      const told = this.#told.get(row.id);
      this.#told.delete(row.id);
      if (told === undefined) {
        const says = `the API key ${row.id} (${row.scopes.join(', ')}) is there, and _system does not tell of it`;
        this.#findings.add('api-key-unrecorded', {}, says);
        continue;
      }
      const differing = differences(row, told);
      if (differing.length > 0) {
        const says = `the API key ${row.id} differs from what _system tells in ${differing.join(', ')}`;
        this.#findings.add('api-key-differs', {}, says);
      }
    }
    for (const key of this.#told.keys()) {
      this.#findings.add('api-key-gone', {}, `_system tells of the API key ${key}, which is missing`);
    }
  }
}

function differences(row: KeyRow, told: Told & { revokedAt: number | null }): string[] {
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  return [
    same(row.name, told.name) ? [] : ['the name'],
    same(row.scopes, told.scopes) ? [] : ['its scopes'],
    same(row.logs, told.logs) ? [] : ['its logs'],
    toHex(row.secret_hash) === told.secretHash ? [] : ['the secret'],
    near(row.created_at, told.createdAt) ? [] : ['the time it was made'],
    near(row.revoked_at, told.revokedAt) ? [] : ['its revocation'],
  ].flat();
}
