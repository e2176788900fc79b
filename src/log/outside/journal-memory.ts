// The database remembers how far the journal of what was published reached. So each of them shows what the other has lost.

import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { sha256 } from '#sha256';
import { equalBytes } from '../../core/bytes.ts';
import type { Queryable } from '../../store/database.ts';
import type { Journal } from './journal.ts';

/** How far a journal reached. */
export interface JournalPosition {
  readonly journal: string;
  readonly generation: number;
  /** Bytes of that generation. */
  readonly length: number;
  /** SHA-256 of those bytes. */
  readonly digest: Uint8Array;
}

export interface JournalMemory {
  /** What is remembered of a journal; of one without a name, of the last journal at its place. Null: nothing. */
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

/** What the journal has lost, compared with what the database remembers; null: nothing. */
export async function contradiction(file: string, journal: Journal, known: JournalPosition): Promise<string | null> {
  if (journal.fresh) {
    return `${file} was removed: what was published before is known from the database alone, until the next start`;
  }
  const lost = `${file} has lost or changed lines that it had before`;
  const advice = 'if the database was not set back, remove the file and start again';
  if (journal.name !== null && journal.number > known.generation) return null;
  if (journal.number < known.generation || journal.offset < known.length) return `${lost}: ${advice}`;
  const bytes = Buffer.alloc(known.length);
  await journal.handle.read(bytes, 0, known.length, 0);
  return equalBytes(sha256(bytes), new Uint8Array(known.digest)) ? null : `${lost}: ${advice}`;
}
