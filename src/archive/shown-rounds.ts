// What the buckets of the public archive show already. The database remembers how far it published, and says nothing of a
// bucket that was named since, or emptied.

import * as z from 'zod/mini';
import { roundByNumber } from '../anchor/rounds.ts';
import { MANIFEST, MAX_MANIFEST, MAX_ROUND, rootPath } from '../audit/remote/layout.ts';
import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Database } from '../store/database.ts';
import type { Bucket } from './bucket.ts';

const manifestForm = z.object({ origin: z.string(), rounds: z.int().check(z.nonnegative()) });
const roundForm = z.object({ root: z.string() });

/**
 * The round from which publishing goes on: the newest that all buckets show. Where one of them shows none or fewer than were
 * published, everything is published again.
 * @param published the newest round that was published
 * @throws AntequemError `archive-conflict` where a bucket shows another service, or rounds that the database does not have
 */
export async function shownRounds(
  database: Database,
  buckets: readonly Bucket[],
  origin: string,
  published: number,
): Promise<number> {
  const shown = await Promise.all(buckets.map((bucket) => newestShown(database, bucket, origin)));
  if (shown.every((round) => round >= published)) return published;
  await database.query('UPDATE archive_logs SET published = 0');
  return 0;
}

async function newestShown(database: Database, bucket: Bucket, origin: string): Promise<number> {
  const bytes = await bucket.get(MANIFEST, MAX_MANIFEST);
  if (bytes === null) return 0;
  const manifest = manifestForm.safeParse(parseJson(bytes));
  if (!manifest.success) throw conflict(bucket, `has a ${MANIFEST} that cannot be read`);
  const { rounds } = manifest.data;
  if (manifest.data.origin !== origin) throw conflict(bucket, `belongs to the service ${manifest.data.origin}`);
  const [round, object] = await Promise.all([roundByNumber(database, rounds), bucket.get(rootPath(rounds), MAX_ROUND)]);
  const root = object === null ? null : roundForm.safeParse(parseJson(object));
  // What is damaged is for `antequem archive verify` to tell.
  if (round !== null && (root?.success !== true || root.data.root === toHex(round.root))) return rounds;
  throw conflict(bucket, `shows a round ${rounds} that the database does not have, as if the database was set back`);
}

function conflict(bucket: Bucket, how: string): AntequemError {
  return new AntequemError(
    'archive-conflict',
    `${bucket.describe()} ${how}: nothing is written to it; use another bucket`,
  );
}
