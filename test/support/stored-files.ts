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
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name);
    const [top, database] = path.slice(folder.length + 1).split('/');
    if (top === 'pg_wal' || (top === 'base' && database !== own)) continue;
    const bytes = readFile(path);
    for (const [i, each] of wanted.entries()) found[i] ||= bytes.includes(each);
  }
  return found;
}

/** Empty where the server has removed it meanwhile. */
function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}
