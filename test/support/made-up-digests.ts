// Rows of the digest index for entries that never were: what a look-up passes by in a service of many.

import { randomBytes } from 'node:crypto';
import type pg from 'pg';

/** Digests of a run, and bytes of a record, as `src/log/digest-runs.ts` has them. */
const RUN_DIGESTS = 65_536;
const RECORD_BYTES = 16;
const ROW_BYTES = (RUN_DIGESTS / 256) * RECORD_BYTES;
const STEP_RUNS = 1_000;

/**
 * Makes up what the index has of so many digests, in its first buckets: the others stay empty, so only digests that begin
 * with a byte below `buckets` may be looked for. The log must have no digest yet.
 */
export async function makeUpDigests(client: Pick<pg.Client, 'query'>, digests: number, buckets: number): Promise<void> {
  const runs = Math.ceil(digests / RUN_DIGESTS);
  await client.query(`ALTER TABLE digest_batches ALTER COLUMN id RESTART WITH ${runs + 1}`);
  for (let run = 1; run <= runs; run += STEP_RUNS) {
    // Each row a stretch of its own of what is random.
    await client.query(
      `INSERT INTO digest_runs (bucket, run, records)
       SELECT bucket, run, substring($1::bytea FROM 1 + ((run * ${buckets} + bucket) * 997 % ${15 * ROW_BYTES})::int FOR ${ROW_BYTES})
       FROM generate_series(0, ${buckets - 1}) AS bucket, generate_series(${run}::bigint, ${Math.min(runs, run + STEP_RUNS - 1)}) AS run`,
      [randomBytes(16 * ROW_BYTES)],
    );
  }
  await client.query('VACUUM ANALYZE digest_runs');
}
