// The bulk erasure. A run is one act of `_system` that names what is erased; then that is erased, some blocks in a
// transaction. A run that was broken off at any moment goes on at the next look: what was named and is still there is open in
// `retention_ranges`.

import { setTimeout as sleep } from 'node:timers/promises';
import { AntequemError, hasCode, messageOf } from '../core/errors.ts';
import { shared, united } from '../core/index-ranges.ts';
import { MAX_BATCH_ENTRIES } from '../core/limits.ts';
import { formatTime } from '../core/time.ts';
import { type Database, type Queryable, type Transaction, transaction } from '../store/database.ts';
import type { BlockArchive } from './blocks/archived-block.ts';
import { forgetDigests, forgetNoted } from './digest-forgetting.ts';
import { erasureStep, recallForStep } from './erasure-step.ts';
import { forgetEvents } from './events.ts';
import { type Holds, heldRanges } from './holds.ts';
import type { Log } from './log.ts';
import { LOG_COLUMNS, type LogRow, logOf, type Registry } from './registry.ts';
import { readDue } from './retention.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction } from './system.ts';

/** Ranges that one act names; what is left is named by the next run. */
const MAX_RANGES = 2_000;
const DEADLINE_MS = 60_000;
/** Between two steps appends go on for as long as the step took, up to so long. */
const MAX_PAUSE_MS = 250;

export interface RetentionParts {
  readonly database: Database;
  readonly registry: Registry;
  readonly sequencing: Sequencing;
  readonly holds: Holds;
  /** Where old contents of entries lie; null: nowhere. */
  readonly archive: BlockArchive | null;
  /** Milliseconds between two looks. */
  readonly interval: number;
  /** Fires when the process is about to stop. */
  readonly stopping: AbortSignal;
}

/** Codes of what cannot be brought back from the archive now. */
const ARCHIVE_FAILURES: ReadonlySet<string> = new Set([
  'archive-damaged',
  'archive-missing',
  'archive-refused',
  'archive-unavailable',
]);

/** What one look did. */
export interface RetentionLook {
  /** The number of the run that was recorded; null: nothing new was due, or another process looked lately. */
  readonly run: number | null;
  /** Entries that were erased. */
  readonly erased: number;
  /** Why not everything that is due was erased; null: it was. */
  readonly problem: string | null;
}

/** An entry of a log or a part of one that a run is still to erase. */
interface OpenRange {
  readonly log: number;
  readonly first: number;
  readonly erased_to: number;
  readonly behind: number;
  readonly run: number;
}

/**
 * Records what is due and erases it, together with what earlier runs left.
 * @throws AntequemError `holds-unconfirmed`, `guard-unavailable`, `database-set-back`, `clock-skew`
 */
export async function lookForDue(parts: RetentionParts): Promise<RetentionLook> {
  const { database, holds, interval, sequencing } = parts;
  const begun = sequencing.effects.now();
  try {
    // Of a database that was set back nothing more must be lost.
    sequencing.rollback.demand();
    const run = await recordRun(parts);
    const { erased, problem } = await eraseOpen(parts);
    await forgetNoted(database, parts.stopping);
    await noteLook(parts, begun + interval, problem);
    return { run, erased, problem };
  } catch (error) {
    const problem = error instanceof AntequemError ? error.message : 'an error: see the log of the service';
    await noteLook(parts, begun + interval, problem).catch(() => {});
    throw error;
  } finally {
    await tidy(database, holds).catch(() => {});
  }
}

/** Names what is due in `_system`. @returns the number of the run; null: nothing is due */
async function recordRun({ database, registry, sequencing, holds, interval }: RetentionParts): Promise<number | null> {
  const now = sequencing.effects.now();
  return recordedTransaction(
    database,
    registry.system,
    sequencing,
    async (tx) => {
      await holds.demandConfirmed(tx);
      const { rows } = await tx.query<{ run: number; recent: boolean }>(
        'SELECT run, looked_at > $1 AND looked_at <= $2 AS recent FROM retention_state',
        [now - interval / 2, now],
      );
      const [state] = rows;
      if (state === undefined) throw new AntequemError('internal', 'the table retention_state has no row');
      if (state.recent) return { result: null, acts: [] };
      await tx.query('UPDATE retention_state SET looked_at = $1', [now]);
      const due = await readDue(tx, await holds.list(tx), now);
      const named = due
        .flatMap(({ log, before, unnamed }) => unnamed.map(([first, behind]) => ({ log, before, first, behind })))
        .slice(0, MAX_RANGES);
      if (named.length === 0) return { result: null, acts: [] };
      const run = state.run + 1;
      await tx.query('UPDATE retention_state SET run = $1', [run]);
      await tx.query(
        `INSERT INTO retention_ranges (log, first, erased_to, behind, run)
         SELECT log, first, first, behind, $4 FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS n (log, first, behind)`,
        [named.map(({ log }) => log.id), named.map(({ first }) => first), named.map(({ behind }) => behind), run],
      );
      const ranges = named.map(({ log, first, behind, before }) => ({
        log: log.origin,
        first,
        count: behind - first,
        before: formatTime(before),
      }));
      return { result: run, acts: [{ act: 'entries-erased', run, ranges }] };
    },
    DEADLINE_MS,
  );
}

/** Erases what runs have named, whoever recorded them. */
async function eraseOpen(parts: RetentionParts): Promise<{ erased: number; problem: string | null }> {
  const passed = new Map<string, string>();
  let erased = 0;
  while (!parts.stopping.aborted) {
    const begun = performance.now();
    const step = await eraseStep(parts, new Set(passed.keys()));
    if (step === null) break;
    if (typeof step === 'number') erased += step;
    else passed.set(step.range, step.problem);
    await sleep(Math.min(performance.now() - begun, MAX_PAUSE_MS));
  }
  const [problem = null] = passed.values();
  return { erased, problem };
}

/** How many entries were erased; null: nothing is open; or why a range has to wait. */
type Step = number | null | { readonly range: string; readonly problem: string };

async function eraseStep(parts: RetentionParts, passed: ReadonlySet<string>): Promise<Step> {
  const { database, sequencing, archive } = parts;
  sequencing.rollback.demand();
  const next = await nextOpen(database, passed);
  if (next === null) return null;
  try {
    await recallForStep(database, archive, await readLog(database, next.log), [next.erased_to, next.behind]);
    return await eraseNext(parts, passed);
  } catch (error) {
    // At once: what was put together stays so.
    if (hasCode(error, 'overloaded')) return 0;
    // Other ranges do not wait for what the archive does not give.
    if (!(error instanceof AntequemError && ARCHIVE_FAILURES.has(error.code))) throw error;
    return { range: keyOf(next), problem: messageOf(error) };
  }
}

async function readLog(db: Queryable, id: number, lock: '' | 'FOR NO KEY UPDATE' = ''): Promise<Log> {
  const { rows } = await db.query<LogRow>(`SELECT ${LOG_COLUMNS} FROM logs WHERE id = $1 ${lock}`, [id]);
  const [row] = rows;
  if (row === undefined) throw new AntequemError('internal', `there is no log ${id}`);
  return logOf(row);
}

async function eraseNext({ database, holds }: RetentionParts, passed: ReadonlySet<string>): Promise<Step> {
  return transaction(
    database,
    async (tx) => {
      await holds.demandConfirmed(tx);
      const open = await nextOpen(tx, passed);
      if (open === null) return null;
      const log = await readLog(tx, open.log);
      const wait = (problem: string) => ({ range: keyOf(open), problem });
      const held = await heldOnlyByStore(tx, holds, log, open);
      if (held !== null) {
        const says = `a hold that the database does not have (${held}) keeps entries of ${log.name} that run ${open.run} names: confirm the holds, or remove it`;
        return wait(says);
      }
      const range = [open.erased_to, open.behind] as const;
      const { reached, gone, store } = await erasureStep(tx, log, range);
      if (reached === open.erased_to) return wait(`entry ${reached} of ${log.name} is missing: run an audit`);
      await forgetRange(tx, log, [open.erased_to, reached]);
      await forgetDigests(tx, log, [open.erased_to, reached], gone);
      await tx.query('UPDATE retention_ranges SET erased_to = $3 WHERE log = $1 AND first = $2', [
        log.id,
        open.first,
        reached,
      ]);
      // Last, so that appends to the log wait no longer than for this.
      await readLog(tx, log.id, 'FOR NO KEY UPDATE');
      if (!(await store())) {
        throw new AntequemError('overloaded', `blocks of ${log.name} were changed meanwhile: try again`);
      }
      return gone.length;
    },
    { deadline: DEADLINE_MS },
  );
}

async function nextOpen(tx: Queryable, passed: ReadonlySet<string>): Promise<OpenRange | null> {
  const { rows } = await tx.query<OpenRange>(
    `SELECT log, first, erased_to, behind, run FROM retention_ranges WHERE erased_to < behind
     ORDER BY run, log, first LIMIT $1`,
    [passed.size + 1],
  );
  return rows.find((row) => !passed.has(keyOf(row))) ?? null;
}

function keyOf({ log, first }: Pick<OpenRange, 'log' | 'first'>): string {
  return `${log}/${first}`;
}

/** A hold that the database has was taken out of the open ranges when it was added. @returns its id; null: there is none */
async function heldOnlyByStore(tx: Transaction, holds: Holds, log: Log, open: OpenRange): Promise<string | null> {
  for (const hold of await holds.of(log, tx)) {
    const held = await heldRanges(tx, log.id, open.behind, [hold]);
    if (shared([[open.erased_to, open.behind]], held).length > 0) return hold.id;
  }
  return null;
}

/** What else names entries of a range or what they say. */
async function forgetRange(tx: Transaction, log: Log, [begin, end]: readonly [number, number]): Promise<void> {
  // Their hash covers the whole request: it would confirm a guess of its content.
  await tx.query(
    `DELETE FROM idempotency
     WHERE log = $1 AND first_index > $2::bigint - $4::bigint AND first_index < $3 AND first_index + count > $2`,
    [log.id, begin, end, MAX_BATCH_ENTRIES],
  );
  await forgetEvents(tx, log, begin, end);
}

/** Notes when each log's oldest due entry was due, and when this is looked at next. */
async function noteLook(
  { database, sequencing, holds }: RetentionParts,
  nextLookAt: number,
  problem: string | null,
): Promise<void> {
  const now = sequencing.effects.now();
  await transaction(database, async (tx) => {
    const due = await readDue(tx, await holds.list(tx), now);
    for (const { log, period, unerased } of due) {
      const [oldest] = unerased;
      await tx.query(
        `UPDATE retention SET due_since = (
           SELECT time_in_block(b, $2) + $3 FROM blocks b
           WHERE log = $1 AND first <= $2 AND first + count > $2 ORDER BY first DESC LIMIT 1) WHERE log = $1`,
        [log.id, oldest?.[0] ?? null, period],
      );
    }
    await tx.query('UPDATE retention_state SET next_look_at = $1, problem = left($2, 1000)', [nextLookAt, problem]);
  });
}

/** Puts ranges together that are erased and lie side by side, so that there are few however many runs there were. */
async function tidy(database: Database, holds: Holds): Promise<void> {
  await transaction(database, async (tx) => {
    await holds.lock(tx);
    const { rows } = await tx.query<{ log: number; first: number; behind: number; run: number }>(
      `SELECT log, first, behind, run FROM (
         SELECT *, lag(behind) OVER w = first AS follows, lead(first) OVER w = behind AS goes_on
         FROM retention_ranges WHERE erased_to = behind WINDOW w AS (PARTITION BY log ORDER BY first)) AS r
       WHERE follows OR goes_on ORDER BY log, first`,
    );
    for (const [log, ranges] of Map.groupBy(rows, (row) => row.log)) {
      for (const [begin, end] of united(ranges.map(({ first, behind }) => [first, behind] as const))) {
        const run = Math.max(...ranges.filter(({ first }) => first >= begin && first < end).map((range) => range.run));
        await tx.query('DELETE FROM retention_ranges WHERE log = $1 AND first >= $2 AND behind <= $3', [
          log,
          begin,
          end,
        ]);
        await tx.query(
          'INSERT INTO retention_ranges (log, first, erased_to, behind, run) VALUES ($1, $2, $3, $3, $4)',
          [log, begin, end, run],
        );
      }
    }
  });
}
