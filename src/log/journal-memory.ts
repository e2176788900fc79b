// The database remembers how far the journal of what was published reached, as the journal remembers what the database
// held: each shows what the other has lost.

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Queryable } from '../store/database.ts';

/** A journal as far as it was seen. */
export interface JournalPosition {
  readonly journal: string;
  readonly generation: number;
  /** Bytes of that generation. */
  readonly length: number;
  /** SHA-256 of those bytes. */
  readonly digest: Uint8Array;
}

export interface JournalMemory {
  /** What is remembered of a journal, or where it has no name of what was last at its place; null: nothing. */
  recall(journal: string | null): Promise<JournalPosition | null>;
  /** Keeps the position unless a later one is remembered. */
  remember(position: JournalPosition): Promise<void>;
}

export function journalMemory(database: Queryable, file: string): JournalMemory {
  const place = `${hostname()}:${resolve(file)}`;
  return {
    recall: async (journal) => {
      const { rows } = await database.query<JournalPosition>(
        `SELECT journal, generation, length, digest FROM guard_journals
         WHERE CASE WHEN $1::text IS NULL THEN place = $2 ELSE journal = $1 END ORDER BY seen_at DESC LIMIT 1`,
        [journal, place],
      );
      return rows[0] ?? null;
    },
    remember: async ({ journal, generation, length, digest }) => {
      await database.query(
        `INSERT INTO guard_journals AS known (journal, place, generation, length, digest) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (journal) DO UPDATE
         SET place = excluded.place, generation = excluded.generation, length = excluded.length,
             digest = excluded.digest, seen_at = now()
         WHERE (known.generation, known.length) < (excluded.generation, excluded.length)`,
        [journal, place, generation, length, Buffer.from(digest)],
      );
    },
  };
}
