// What the archive did last, as operators see it.

import { AntequemError, messageOf } from '../core/errors.ts';
import type { Queryable } from '../store/database.ts';

export type ArchiveName = 'public' | 'private';

/** The newest pass over one archive. */
export interface ArchivePass {
  readonly archive: ArchiveName;
  /** The newest round that it shows; 0: none, or it shows none. */
  readonly round: number;
  /** Milliseconds; of the newest pass without a problem; null: there was none. */
  readonly passedAt: number | null;
  /** What the newest pass failed by; null: it did not. */
  readonly problem: { readonly code: string; readonly says: string; readonly since: number } | null;
}

interface PassRow {
  archive: ArchiveName;
  round: number;
  passed_at: number | null;
  code: string | null;
  problem: string | null;
  failing_since: number | null;
}

export async function readPasses(db: Queryable): Promise<ArchivePass[]> {
  const { rows } = await db.query<PassRow>('SELECT * FROM archive_passes ORDER BY archive');
  return rows.map(({ archive, round, passed_at, code, problem, failing_since }) => ({
    archive,
    round,
    passedAt: passed_at,
    problem: code === null ? null : { code, says: problem ?? '', since: failing_since ?? 0 },
  }));
}

/** @param round the newest that the archive shows */
export async function recordPass(db: Queryable, archive: ArchiveName, round: number, now: number): Promise<void> {
  await db.query(
    `INSERT INTO archive_passes (archive, round, passed_at) VALUES ($1, $2, $3)
     ON CONFLICT (archive) DO UPDATE SET round = excluded.round, passed_at = excluded.passed_at,
       code = NULL, problem = NULL, failing_since = NULL`,
    [archive, round, now],
  );
}

export async function recordFailure(db: Queryable, archive: ArchiveName, error: unknown, now: number): Promise<void> {
  await db.query(
    `INSERT INTO archive_passes AS p (archive, code, problem, failing_since) VALUES ($1, $2, $3, $4)
     ON CONFLICT (archive) DO UPDATE SET code = excluded.code, problem = excluded.problem,
       failing_since = coalesce(p.failing_since, excluded.failing_since)`,
    [archive, error instanceof AntequemError ? error.code : 'internal', messageOf(error).slice(0, 1_000), now],
  );
}

/** What left the database. */
export interface Archived {
  /** In the public archive. */
  readonly tiles: number;
  /** In the private one. */
  readonly blocks: number;
  /** Of the objects of blocks. */
  readonly bytes: number;
  /** Objects that wait to be deleted. */
  readonly leftovers: number;
}

export async function readArchived(db: Queryable): Promise<Archived> {
  const { rows } = await db.query<Archived>(
    `SELECT count(DISTINCT (log, first)) AS blocks, coalesce(sum(length), 0)::bigint AS bytes,
            (SELECT count(*) FROM archive_leftovers) AS leftovers,
            (SELECT coalesce(sum(tiles), 0)::bigint FROM archive_logs) AS tiles
     FROM (SELECT log, first, length FROM archived_blocks
           UNION ALL SELECT log, first, length FROM archived_commitments) AS a`,
  );
  return rows[0] ?? { tiles: 0, blocks: 0, bytes: 0, leftovers: 0 };
}
