import pg from 'pg';
import { testDatabase } from './postgres.ts';
import { redisMissing, testRedis } from './redis.ts';

/** What a queue can live on, and how it can lose everything. */
export interface QueueGround {
  readonly databaseUrl: string;
  readonly redisUrl?: string;
  /** Takes every job and schedule away. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

async function onPostgres(): Promise<QueueGround> {
  const database = await testDatabase();
  return { databaseUrl: database.url, flush: () => clearQueue(database.url), stop: () => database.drop() };
}

async function onRedis(): Promise<QueueGround> {
  const [database, redis] = await Promise.all([testDatabase(), testRedis()]);
  return {
    databaseUrl: database.url,
    redisUrl: redis.url,
    flush: () => redis.flush(),
    stop: async () => {
      await redis.stop();
      await database.drop();
    },
  };
}

export const QUEUE_GROUNDS = [
  { name: 'PostgreSQL', open: onPostgres },
  ...(redisMissing === null ? [{ name: 'Redis', open: onRedis }] : []),
];

async function clearQueue(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ tables: string }>(
      `SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') AS tables FROM pg_tables
       WHERE schemaname ~ '^antequem_[0-9a-f]{16}$' AND tablename <> 'migration'`,
    );
    // Amid the work of others it may be the one that a deadlock ends.
    for (let tries = 0; ; tries++) {
      try {
        await client.query(`TRUNCATE ${rows[0]?.tables} CASCADE`);
        return;
      } catch (error) {
        if (tries === 10) throw error;
      }
    }
  } finally {
    await client.end();
  }
}
