// Searches the files of the tests' PostgreSQL.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Queryable } from '../../src/store/database.ts';

/** Which of these bytes stand in a file of the data folder outside pg_wal; other databases of the server aside. */
export async function foundInFiles(db: Queryable, wanted: readonly Buffer[]): Promise<boolean[]> {
  await db.query('CHECKPOINT');
  const { rows } = await db.query<{ folder: string; own: string }>(
    `SELECT current_setting('data_directory') AS folder, oid::text AS own FROM pg_database WHERE datname = current_database()`,
  );
  const { folder = '', own = '' } = rows[0] ?? {};
  const found = wanted.map(() => false);
  const concerns = (path: string): boolean => {
    const [top, database] = path.slice(folder.length + 1).split('/');
    return top !== 'pg_wal' && (top !== 'base' || database === undefined || database === own);
  };
  for (const path of filesBelow(folder, concerns)) {
    const bytes = unlessGone(() => readFileSync(path)) ?? Buffer.alloc(0);
    for (const [i, each] of wanted.entries()) found[i] ||= bytes.includes(each);
  }
  return found;
}

function* filesBelow(folder: string, concerns: (path: string) => boolean): Generator<string> {
  for (const entry of unlessGone(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
    const path = join(folder, entry.name);
    if (!concerns(path)) continue;
    if (entry.isDirectory()) yield* filesBelow(path, concerns);
    else if (entry.isFile()) yield path;
  }
}

/** Null where the server has removed it meanwhile. */
function unlessGone<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
