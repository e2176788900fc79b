// How long a log keeps what its entries are about.

import { AntequemError } from '../core/errors.ts';
import { countOf, type IndexRange, united, without } from '../core/index-ranges.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import type { Database, Queryable, Transaction } from '../store/database.ts';
import { heldRanges, type KnownHold, lockErasing } from './holds.ts';
import type { Log } from './log.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction } from './system.ts';

/** Times are milliseconds since the Unix epoch. */
export interface Retention {
  /** Milliseconds that entries are kept; null: they are kept for ever. */
  readonly period: number | null;
  readonly setAt: number | null;
  /** Entries that runs have erased. */
  readonly erased: number;
  /** Entries that `_system` names and that are still to be erased. */
  readonly open: number;
  /** When the oldest entry was due that is neither erased nor held, by the last look; null: none is. */
  readonly dueSince: number | null;
}

interface Parts {
  readonly database: Database;
  readonly system: Log;
  readonly sequencing: Sequencing;
}

/**
 * Has entries of a log erased once they are older than this; null: keeps them for ever. Erases nothing by itself.
 * @param period milliseconds
 * @throws AntequemError `log-reserved`
 */
export async function setRetention(
  { database, system, sequencing }: Parts,
  log: Log,
  period: number | null,
): Promise<void> {
  if (log.name === SYSTEM_LOG) {
    throw new AntequemError('log-reserved', '_system is the log of the service itself: nothing in it is erased');
  }
  await recordedTransaction(database, system, sequencing, async (tx) => {
    // A run that goes by the period of before is on record before this is.
    await lockErasing(tx);
    const changed = await (period === null
      ? tx.query('DELETE FROM retention WHERE log = $1', [log.id])
      : tx.query(
          `INSERT INTO retention (log, period, set_at) VALUES ($1, $2, $3)
           ON CONFLICT (log) DO UPDATE SET period = $2, set_at = $3, due_since = NULL WHERE retention.period <> $2`,
          [log.id, period, sequencing.effects.now()],
        ));
    if (changed.rowCount === 0) return { result: undefined, acts: [] };
    const act = period === null ? { act: 'retention-cleared' as const } : { act: 'retention-set' as const, period };
    return { result: undefined, acts: [{ ...act, log: log.origin }] };
  });
}

export async function readRetention(db: Queryable, log: Log): Promise<Retention> {
  const { rows } = await db.query<{
    period: number | null;
    set_at: number | null;
    due_since: number | null;
    erased: number;
    open: number;
  }>(
    `SELECT r.period, r.set_at, r.due_since, g.erased, g.open
     FROM (SELECT coalesce(sum(erased_to - first), 0)::bigint AS erased, coalesce(sum(behind - erased_to), 0)::bigint AS open
           FROM retention_ranges WHERE log = $1) AS g
     LEFT JOIN retention r ON r.log = $1`,
    [log.id],
  );
  const [row] = rows;
  return {
    period: row?.period ?? null,
    setAt: row?.set_at ?? null,
    erased: row?.erased ?? 0,
    open: row?.open ?? 0,
    dueSince: row?.due_since ?? null,
  };
}

/** A log with retention, and what is due of it. */
export interface DueLog {
  readonly log: Pick<Log, 'id' | 'name' | 'origin'>;
  readonly period: number;
  /** Entries received before then are due, milliseconds. */
  readonly before: number;
  /** What is due, neither held nor named by a run. */
  readonly unnamed: readonly IndexRange[];
  /** What is due, neither held nor erased. */
  readonly unerased: readonly IndexRange[];
}

/**
 * What is due of each log with retention. The earlier of both clocks counts, since what is erased too early is gone.
 * @param now milliseconds, by the clock of the service
 */
export async function readDue(db: Transaction, holds: readonly KnownHold[], now: number): Promise<DueLog[]> {
  const { rows } = await db.query<{
    id: number;
    name: string;
    origin: string;
    period: number;
    before: number;
    size: number;
    due: number;
  }>(
    `SELECT *, CASE WHEN size = 0 THEN 0 ELSE first_entry_since(id, before, size) END AS due
     FROM (SELECT l.id, l.name, l.origin, r.period, l.size,
                  greatest(0, least($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) - r.period) AS before
           FROM retention r JOIN log_states l ON l.id = r.log) AS s ORDER BY id`,
    [now],
  );
  const { rows: ranges } = await db.query<{ log: number; first: number; erased_to: number; behind: number }>(
    'SELECT log, first, erased_to, behind FROM retention_ranges WHERE log IN (SELECT log FROM retention)',
  );
  const byLog = Map.groupBy(ranges, ({ log }) => log);
  const due: DueLog[] = [];
  for (const { id, name, origin, period, before, size, due: end } of rows) {
    const known = byLog.get(id) ?? [];
    const held = await heldRanges(
      db,
      id,
      size,
      holds.filter((hold) => hold.log === origin),
    );
    const of = (taken: IndexRange[]): IndexRange[] => without([[0, end]], united([...held, ...taken]));
    due.push({
      log: { id, name, origin },
      period,
      before,
      unnamed: of(known.map(({ first, behind }) => [first, behind])),
      unerased: of(known.map(({ first, erased_to }) => [first, erased_to])),
    });
  }
  return due;
}

/** How many entries are due now: neither erased nor held. */
export function dueEntries(due: readonly DueLog[], log: Log): number {
  return countOf(due.find((each) => each.log.id === log.id)?.unerased ?? []);
}
