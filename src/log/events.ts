import { equalBytes, toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import type { Queryable, Transaction } from '../store/database.ts';
import type { Draft, Log, Repeats } from './log.ts';
import type { Stretches } from './stretch.ts';

// The ring of migration 0012. A day's slot is looked into for eight days, so that what was logged is known for seven whole
// ones; the other two are emptied before their turn comes.
const SLOTS = 10;
const LIVE = 8;
const DAY = 86_400_000;

export const NO_REPEATS: Repeats = { count: 0, conflicting: 0 };

/** What became of a submission's drafts: which are new, and how many were there before. */
export interface Sifted {
  /** Positions among the submission's drafts; null: all of them are new. */
  readonly fresh: readonly number[] | null;
  readonly repeats: Repeats;
}

/**
 * Tells events that a log holds, or that came earlier in the same group, from new ones. Runs under the lock of the log's
 * row: nobody logs the same event meanwhile. Costs nothing where no draft bears an event id.
 * @param now milliseconds by the database's clock
 */
export async function siftEvents(
  tx: Transaction,
  log: Log,
  submissions: readonly (readonly Draft[])[],
  now: number,
  stretches: Stretches,
): Promise<Sifted[]> {
  const all = { fresh: null, repeats: NO_REPEATS };
  const bearing = submissions.filter((drafts) => drafts.some(({ event }) => event !== undefined));
  if (bearing.length === 0) return submissions.map(() => all);
  const ids = bearing.flatMap((drafts) => drafts.flatMap(({ event }) => (event === undefined ? [] : [event])));
  const known = await findEvents(tx, log, ids, now);
  const digests = known.size === 0 ? new Map<number, string>() : await readDigests(tx, log, known.values(), stretches);
  const claimed = new Map<string, Uint8Array>();
  return submissions.map((drafts) => {
    const fresh: number[] = [];
    let conflicting = 0;
    for (const [i, { event, digest }] of drafts.entries()) {
      if (event === undefined) {
        fresh.push(i);
        continue;
      }
      const id = toHex(event);
      const index = known.get(id);
      const other = claimed.get(id);
      if (index !== undefined) {
        if (digests.get(index) !== toHex(digest)) conflicting++;
      } else if (other !== undefined) {
        if (!equalBytes(other, digest)) conflicting++;
      } else {
        claimed.set(id, digest);
        fresh.push(i);
      }
    }
    const count = drafts.length - fresh.length;
    return count === 0 ? all : { fresh, repeats: { count, conflicting } };
  });
}

/** The index of each event that the log holds, by the hex of its id. */
async function findEvents(
  tx: Transaction,
  log: Log,
  ids: readonly Uint8Array[],
  now: number,
): Promise<Map<string, number>> {
  const { rows } = await tx.query<{ id: Uint8Array; index: number }>(
    'SELECT id, index FROM logged_events WHERE log = $1 AND id = ANY ($2::bytea[]) AND slot = ANY ($3::smallint[])',
    [log.id, ids.map((id) => Buffer.from(id)), liveSlots(now)],
  );
  return new Map(rows.map(({ id, index }) => [toHex(id), index]));
}

/** The digests of these entries in hex, by index. */
async function readDigests(
  tx: Transaction,
  log: Log,
  indices: Iterable<number>,
  stretches: Stretches,
): Promise<Map<number, string>> {
  const bySegment = new Map<number, number[]>();
  for (const index of new Set(indices)) {
    const { segment } = await stretches.locate(tx, log.id, index);
    const others = bySegment.get(segment);
    if (others === undefined) bySegment.set(segment, [index]);
    else others.push(index);
  }
  const digests = new Map<number, string>();
  for (const [segment, some] of bySegment) {
    const { rows } = await tx.query<{ index: number; digest: Uint8Array | null }>(
      'SELECT index, digest FROM entries WHERE segment = $1 AND log = $2 AND index = ANY ($3::bigint[])',
      [segment, log.id, some],
    );
    for (const { index, digest } of rows) if (digest !== null) digests.set(index, toHex(digest));
  }
  return digests;
}

/** Remembers where each event of `drafts`, the entries from index `first` on, was logged. */
export async function recordEvents(
  tx: Transaction,
  log: Log,
  drafts: readonly Draft[],
  first: number,
  now: number,
): Promise<void> {
  if (!drafts.some(({ event }) => event !== undefined)) return;
  const events = drafts.flatMap(({ event }, i) => (event === undefined ? [] : [{ event, index: first + i }]));
  await tx.query({
    name: 'record-events',
    text: `INSERT INTO logged_events (slot, log, id, index)
           SELECT $1::smallint, $2::int, substring($3::bytea FROM n::int * 16 - 15 FOR 16), index
           FROM unnest($4::bigint[]) WITH ORDINALITY AS e (index, n)`,
    values: [
      slotOf(now),
      log.id,
      Buffer.concat(events.map(({ event }) => event)),
      `{${events.map(({ index }) => index).join(',')}}`,
    ],
  });
}

/** Forgets the event that an entry was, as erasure does: its id may name somebody. */
export async function forgetEvent(tx: Queryable, log: Log, index: number): Promise<void> {
  await tx.query('DELETE FROM logged_events WHERE log = $1 AND index = $2', [log.id, index]);
}

/** Empties the slots that are past their time. Returns how many. */
export async function purgeEvents(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  const now = rows[0]?.now;
  if (now === undefined) throw new AntequemError('internal', 'the database has no clock');
  const live = new Set(liveSlots(now));
  let emptied = 0;
  for (let slot = 0; slot < SLOTS; slot++) {
    if (live.has(slot)) continue;
    const { rowCount } = await db.query(`SELECT 1 FROM logged_events_${slot} LIMIT 1`);
    if (rowCount === 0) continue;
    // Behind a dump that reads the table others would queue up; there is another hour.
    await db.query(`SET LOCAL lock_timeout = '1s'; TRUNCATE logged_events_${slot}`);
    emptied++;
  }
  return emptied;
}

const slotOf = (now: number): number => Math.floor(now / DAY) % SLOTS;

function liveSlots(now: number): number[] {
  return Array.from({ length: LIVE }, (_, age) => slotOf(now - age * DAY));
}
