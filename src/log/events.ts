import { concat, toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { Queryable, Transaction } from '../store/database.ts';
import { readBlocks } from './blocks/blocks.ts';
import type { Draft, Log, Repeats } from './log.ts';

// The ring of migration 0012. A day's slot is looked into for eight days, so that what was logged is known for seven whole
// ones; the other two are emptied before their turn comes.
const SLOTS = 10;
const LIVE = 8;
const DAY = 86_400_000;
/** Tiles whose entries are looked at together. */
const TILES_AT_ONCE = 32;

export const NO_REPEATS: Repeats = { count: 0, conflicting: 0 };

/** What became of a submission's drafts: which are new, and what the log knew of them. */
export interface Sifted {
  /** Positions among the submission's drafts; null: all of them are new. */
  readonly fresh: readonly number[] | null;
  /** Under which key each of those is remembered; null: under none. */
  readonly keys: readonly (Uint8Array | null)[];
  readonly repeats: Repeats;
}

/**
 * Tells events that a log holds, or that came earlier in the same group, from new ones. The same event is what has the
 * same id and says the same: who may choose an id must not be able to hide a second event behind a first. Only an id that
 * is a hash of what the event says stands for it alone. Runs under the
 * lock of the log's row: nobody logs the same event meanwhile. Asks nothing where no draft bears an event id.
 * @param now milliseconds by the database's clock
 */
export async function siftEvents(
  tx: Transaction,
  log: Log,
  submissions: readonly (readonly Draft[])[],
  now: number,
): Promise<Sifted[]> {
  const keys: Uint8Array[] = [];
  for (const { event, digest } of submissions.flat()) {
    if (event !== undefined) keys.push(event, contentKey(event, digest));
  }
  if (keys.length === 0) return submissions.map(() => ({ fresh: null, keys: [], repeats: NO_REPEATS }));
  const held = await heldContents(tx, log, keys, now);
  return submissions.map((drafts) => sift(drafts, held));
}

/** @param held by the hex of a key the digest, in hex, of the entry remembered under it; the new ones are added */
function sift(drafts: readonly Draft[], held: Map<string, string>): Sifted {
  const fresh: number[] = [];
  const keys: (Uint8Array | null)[] = [];
  let conflicting = 0;
  for (const [i, { event, digest, idCoversContent = false }] of drafts.entries()) {
    let key: Uint8Array | null = null;
    if (event !== undefined) {
      const content = toHex(digest);
      const other = contentKey(event, digest);
      const first = held.get(toHex(event));
      const second = held.get(toHex(other));
      if (first === content || second === content || (idCoversContent && first !== undefined)) continue;
      if (first !== undefined) conflicting++;
      // Where both are taken the digests begin alike, which somebody took pains for: logged, and not remembered.
      key = first === undefined ? event : second === undefined ? other : null;
      if (key !== null) held.set(toHex(key), content);
    }
    fresh.push(i);
    keys.push(key);
  }
  const count = drafts.length - fresh.length;
  return { fresh: count === 0 ? null : fresh, keys, repeats: { count, conflicting } };
}

/**
 * What an event is remembered under whose id stands for other content. Next to the id's own place in the index, so that
 * looking for both costs hardly more than looking for one. That it is short matters little: digests are compared whole.
 */
function contentKey(event: Uint8Array, digest: Uint8Array): Uint8Array {
  return concat(event.subarray(0, 8), digest.subarray(0, 8));
}

/** The digests, in hex, of the entries remembered under these keys, by the hex of the key. */
async function heldContents(
  tx: Transaction,
  log: Log,
  keys: readonly Uint8Array[],
  now: number,
): Promise<Map<string, string>> {
  const known = await findEvents(tx, log, keys, now);
  const digests = known.size === 0 ? new Map<number, string>() : await readDigests(tx, log, known.values());
  return new Map([...known].map(([key, index]) => [key, digests.get(index) ?? '']));
}

/** The index of each event that the log holds, by the hex of its key. */
async function findEvents(
  tx: Transaction,
  log: Log,
  keys: readonly Uint8Array[],
  now: number,
): Promise<Map<string, number>> {
  const { rows } = await tx.query<{ id: Uint8Array; index: number }>(
    'SELECT id, index FROM logged_events WHERE log = $1 AND id = ANY ($2::bytea[]) AND slot = ANY ($3::smallint[])',
    [log.id, keys.map((key) => Buffer.from(key)), liveSlots(now)],
  );
  return new Map(rows.map(({ id, index }) => [toHex(id), index]));
}

/** The digests of these entries in hex, by index. */
async function readDigests(tx: Transaction, log: Log, indices: Iterable<number>): Promise<Map<number, string>> {
  const byTile = Map.groupBy(new Set(indices), (index) => Math.floor(index / TILE_WIDTH));
  const tiles = [...byTile.values()];
  const digests = new Map<number, string>();
  for (let at = 0; at < tiles.length; at += TILES_AT_ONCE) {
    const some = tiles.slice(at, at + TILES_AT_ONCE).flat();
    const blocks = await readBlocks(
      tx,
      some.map((index) => ({ log: log.id, index })),
    );
    for (const [i, index] of some.entries()) {
      const digest = blocks[i]?.digest(index) ?? null;
      if (digest !== null) digests.set(index, toHex(digest));
    }
  }
  return digests;
}

/** Remembers under these keys the entries from index `first` on. */
export async function recordEvents(
  tx: Transaction,
  log: Log,
  keys: readonly (Uint8Array | null)[],
  first: number,
  now: number,
): Promise<void> {
  const events = keys.flatMap((key, i) => (key === null ? [] : [{ key, index: first + i }]));
  if (events.length === 0) return;
  await tx.query({
    name: 'record-events',
    text: `INSERT INTO logged_events (slot, log, id, index)
           SELECT $1::smallint, $2::int, substring($3::bytea FROM n::int * 16 - 15 FOR 16), index
           FROM unnest($4::bigint[]) WITH ORDINALITY AS e (index, n)`,
    values: [
      slotOf(now),
      log.id,
      Buffer.concat(events.map(({ key }) => key)),
      `{${events.map(({ index }) => index).join(',')}}`,
    ],
  });
}

/** Forgets the events that entries [begin, end) were, as erasure does: an id may name somebody. */
export async function forgetEvents(tx: Queryable, log: Log, begin: number, end: number): Promise<void> {
  await tx.query('DELETE FROM logged_events WHERE log = $1 AND index >= $2 AND index < $3', [log.id, begin, end]);
}

/** Empties the slots that are past their time. Returns how many. */
export async function purgeEventIds(db: Queryable): Promise<number> {
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
