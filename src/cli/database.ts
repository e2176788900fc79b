import { AntequemError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import { localEndpoint } from './session.ts';

/** Runs `work` on the database of DATABASE_URL, else of local mode. @throws AntequemError `database-unknown` */
export async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const url = process.env.DATABASE_URL || localEndpoint('databaseUrl');
  if (url === undefined) {
    throw new AntequemError('database-unknown', 'set DATABASE_URL, or run this where local mode has run');
  }
  const { openDatabase } = await import('../store/database.ts');
  const database = openDatabase(url, { connections: 2 });
  try {
    return await work(database);
  } finally {
    await database.end();
  }
}
