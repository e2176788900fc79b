// That the schedules of the workers are heeded, as the database knows it: whatever the queue says of itself.

import type { Queryable } from '../store/database.ts';

/** Notes that a schedule woke a worker. */
export async function noteRun(database: Queryable, schedule: string): Promise<void> {
  await database.query(
    `INSERT INTO schedule_runs (schedule, at) VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
     ON CONFLICT (schedule) DO UPDATE SET at = excluded.at`,
    [schedule],
  );
}

/** Milliseconds since a schedule last woke a worker, by the clock of the database; null: it never did. */
export async function sinceRun(database: Queryable, schedule: string): Promise<number | null> {
  const { rows } = await database.query<{ since: number }>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint - at AS since FROM schedule_runs WHERE schedule = $1`,
    [schedule],
  );
  return rows[0]?.since ?? null;
}
