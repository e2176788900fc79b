// The legal holds of a service. They are kept in the database and in a store beside it, and count while one of both has
// them: a database that is restored from a backup must not release what was held after the backup was made.

import { toHex } from '../core/bytes.ts';
import { AntequemError, FormatError } from '../core/errors.ts';
import { type IndexRange, shared, without } from '../core/index-ranges.ts';
import { SYSTEM_LOG } from '../core/origin.ts';
import { formatTime } from '../core/time.ts';
import { within } from '../core/time-limit.ts';
import type { Database, Queryable, Transaction } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';
import { receivedAt } from './blocks/blocks.ts';
import type { Log } from './log.ts';
import { type Hold, type HoldStore, MAX_REASON_LENGTH } from './outside/hold.ts';
import type { Registry } from './registry.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction, type SystemAct } from './system.ts';

/** Of one service. The act that confirms them names all. */
export const MAX_HOLDS = 10_000;
const STORE_PATIENCE_MS = 5_000;
const LOCK = 'holds';

/** A hold with where it is known. */
export interface KnownHold extends Hold {
  readonly inDatabase: boolean;
  /** Null: there is no store. */
  readonly inStore: boolean | null;
}

export interface HoldsParts {
  readonly database: Database;
  readonly registry: Registry;
  readonly sequencing: Sequencing;
  /** Null: the database alone keeps them. */
  readonly store: HoldStore | null;
  readonly serviceOrigin: string;
}

interface HoldRow {
  id: string;
  log: string;
  since: number | null;
  until: number | null;
  reason: string;
  added_at: number;
}

export class Holds {
  readonly #parts: HoldsParts;

  constructor(parts: HoldsParts) {
    this.#parts = parts;
  }

  /** Where holds are kept beside the database; null: nowhere. */
  get storeName(): string | null {
    return this.#parts.store?.name ?? null;
  }

  /** All holds, the oldest first. @throws AntequemError `guard-unavailable` */
  async list(db: Queryable = this.#parts.database): Promise<KnownHold[]> {
    const { store, serviceOrigin } = this.#parts;
    // The database second: what is added meanwhile is in the store before it is there, and removed the other way around.
    const stored = store === null ? [] : await ask(store, store.all());
    const { rows } = await db.query<HoldRow>(
      `SELECT h.id, l.origin AS log, h.since, h.until, h.reason, h.added_at FROM holds h JOIN logs l ON l.id = h.log`,
    );
    const inStore = new Set(stored.map(({ id }) => id));
    const inDatabase = new Set(rows.map(({ id }) => id));
    const known: KnownHold[] = [
      ...rows.map(({ added_at, ...row }) => ({
        ...row,
        addedAt: added_at,
        inDatabase: true,
        inStore: store === null ? null : inStore.has(row.id),
      })),
      ...stored
        .filter(({ id, log }) => !inDatabase.has(id) && log.startsWith(`${serviceOrigin}/logs/`))
        .map((hold) => ({ ...hold, inDatabase: false, inStore: true })),
    ];
    return known.sort((a, b) => a.addedAt - b.addedAt || (a.id < b.id ? -1 : 1));
  }

  /** The holds of one log, the oldest first. @throws AntequemError `guard-unavailable` */
  async of(log: Log, db?: Queryable): Promise<KnownHold[]> {
    return (await this.list(db)).filter((hold) => hold.log === log.origin);
  }

  /** Since when nothing is erased until the operator confirms the holds, milliseconds; null: they are confirmed. */
  async unconfirmedSince(db: Queryable = this.#parts.database): Promise<number | null> {
    const { rows } = await db.query<{ at: number | null }>('SELECT unconfirmed_since AS at FROM retention_state');
    return rows[0]?.at ?? null;
  }

  /**
   * Holds entries of a log, by when they were received. What a run was about to erase of them is kept; the act names it.
   * @throws FormatError `hold-invalid`; AntequemError `holds-full`, `log-reserved`, `guard-unavailable`
   */
  async add(log: Log, wanted: Pick<Hold, 'since' | 'until' | 'reason'>): Promise<KnownHold> {
    demandOwn(log);
    demandValid(wanted);
    const { database, registry, sequencing, store } = this.#parts;
    const { now, random } = sequencing.effects;
    const hold: Hold = { id: `hold_${toHex(random(16))}`, log: log.origin, ...wanted, addedAt: now() };
    await recordedTransaction(database, registry.system, sequencing, async (tx) => {
      await takeLock(tx, LOCK);
      if ((await this.list(tx)).length >= MAX_HOLDS) {
        throw new AntequemError('holds-full', `there are ${MAX_HOLDS} holds already: remove one first`);
      }
      // In the store first: a hold that only it has counts too.
      if (store !== null) await ask(store, store.put(hold));
      return { result: undefined, acts: [await insertHold(tx, log, hold)] };
    });
    return { ...hold, inDatabase: true, inStore: store === null ? null : true };
  }

  /** @throws AntequemError `hold-not-found`, `guard-unavailable` */
  async remove(log: Log, id: string): Promise<void> {
    const { database, registry, sequencing, store } = this.#parts;
    await recordedTransaction(database, registry.system, sequencing, async (tx) => {
      await takeLock(tx, LOCK);
      if (!(await this.of(log, tx)).some((hold) => hold.id === id)) {
        throw new AntequemError('hold-not-found', `there is no hold ${id} of the log ${log.name}`);
      }
      await tx.query('DELETE FROM holds WHERE id = $1', [id]);
      return { result: undefined, acts: [{ act: 'hold-removed', hold: id, log: log.origin }] };
    });
    if (store !== null) await ask(store, store.remove(id));
  }

  /**
   * The operator has seen these holds and confirms that they are all: erasing goes on. Those that the database has lost are
   * put there again.
   * @throws AntequemError `holds-changed` where these are not all; `guard-unavailable`
   */
  async confirm(ids: readonly string[]): Promise<KnownHold[]> {
    const { database, registry, sequencing } = this.#parts;
    await recordedTransaction(database, registry.system, sequencing, async (tx) => {
      await takeLock(tx, LOCK);
      const known = await this.list(tx);
      const seen = new Set(ids);
      if (seen.size !== known.length || known.some(({ id }) => !seen.has(id))) {
        throw new AntequemError('holds-changed', 'these are not the holds that there are now: list them again');
      }
      const acts: SystemAct[] = [];
      for (const { inDatabase, inStore: _, ...hold } of known) {
        const log = inDatabase ? null : await registry.find(hold.log.slice(hold.log.lastIndexOf('/') + 1));
        if (log !== null) acts.push(await insertHold(tx, log, hold));
      }
      const { rowCount } = await tx.query(
        'UPDATE retention_state SET unconfirmed_since = NULL WHERE unconfirmed_since IS NOT NULL',
      );
      if (rowCount !== 0 || acts.length > 0) {
        acts.push({ act: 'holds-confirmed', holds: known.map(({ id }) => id) });
      }
      return { result: undefined, acts };
    });
    await this.mirror();
    return this.list();
  }

  /** Puts holds into the store that it lacks: it may have been lost, or be new. @throws AntequemError `guard-unavailable` */
  async mirror(): Promise<void> {
    const { database, store } = this.#parts;
    if (store === null) return;
    if ((await this.list()).every(({ inStore }) => inStore)) return;
    const tx = await database.connect();
    try {
      await tx.query('BEGIN');
      await takeLock(tx, LOCK);
      for (const { inDatabase: _, inStore, ...hold } of await this.list(tx)) {
        if (inStore === false) await ask(store, store.put(hold));
      }
    } finally {
      await tx.query('ROLLBACK').catch(() => {});
      tx.release();
    }
  }

  /** Until the transaction ends no hold is added, removed or confirmed, and nothing is erased elsewhere. */
  async lock(tx: Queryable): Promise<void> {
    await lockErasing(tx);
  }

  /**
   * Takes the lock, too.
   * @throws AntequemError `holds-unconfirmed`
   */
  async demandConfirmed(tx: Transaction): Promise<void> {
    await this.lock(tx);
    const since = await this.unconfirmedSince(tx);
    if (since === null) return;
    const says = `the database was set back, as was declared at ${formatTime(since)}; nothing is erased until the holds are confirmed: antequem hold confirm`;
    throw new AntequemError('holds-unconfirmed', says);
  }

  /** Call it with the lock of {@link demandConfirmed}. @throws AntequemError `entry-held`, `guard-unavailable` */
  async demandFree(tx: Transaction, log: Log, index: number): Promise<void> {
    const holds = await this.of(log, tx);
    const at = holds.length === 0 ? null : await receivedAt(tx, { log: log.id, index });
    const hold = holds.find(
      ({ since, until }) => at !== null && (since === null || at >= since) && (until === null || at < until),
    );
    if (hold === undefined) return;
    const says = `entry ${index} of ${log.name} is under the hold ${hold.id} (${hold.reason}): it cannot be erased until that is removed`;
    throw new AntequemError('entry-held', says);
  }
}

/** Until the transaction ends nothing is erased elsewhere, and neither holds nor periods change. */
export async function lockErasing(tx: Queryable): Promise<void> {
  await takeLock(tx, LOCK);
}

/** The entries that holds of one log keep. @param size entries in the log */
export async function heldRanges(
  db: Queryable,
  log: number,
  size: number,
  holds: readonly Pick<Hold, 'since' | 'until'>[],
): Promise<IndexRange[]> {
  if (holds.length === 0) return [];
  const { rows } = await db.query<{ begin: number; end: number }>(
    `SELECT coalesce(first_entry_since($1, since, $2), 0) AS begin, coalesce(first_entry_since($1, until, $2), $2) AS "end"
     FROM unnest($3::bigint[], $4::bigint[]) AS h (since, until)`,
    [log, size, holds.map(({ since }) => since), holds.map(({ until }) => until)],
  );
  return rows.map(({ begin, end }) => [begin, end]);
}

/** @returns the act that tells of it */
async function insertHold(tx: Transaction, log: Log, hold: Hold): Promise<SystemAct> {
  const { rows } = await tx.query<{ size: number }>('SELECT size FROM log_states WHERE id = $1', [log.id]);
  const held = await heldRanges(tx, log.id, rows[0]?.size ?? 0, [hold]);
  const kept = await keepFromRuns(tx, log, held);
  const { id, since, until, reason, addedAt } = hold;
  await tx.query('INSERT INTO holds (id, log, since, until, reason, added_at) VALUES ($1, $2, $3, $4, $5, $6)', [
    id,
    log.id,
    since,
    until,
    reason,
    addedAt,
  ]);
  const optional = (ms: number | null): string | null => (ms === null ? null : formatTime(ms));
  return {
    act: 'hold-added',
    hold: id,
    log: log.origin,
    since: optional(since),
    until: optional(until),
    reason,
    kept: kept.map(([first, end]) => ({ first, count: end - first })),
  };
}

/** Takes entries out of what runs are still to erase. @returns those that were named */
async function keepFromRuns(tx: Transaction, log: Log, held: readonly IndexRange[]): Promise<IndexRange[]> {
  const kept: IndexRange[] = [];
  const { rows } = await tx.query<{ first: number; erased_to: number; behind: number; run: number }>(
    'SELECT first, erased_to, behind, run FROM retention_ranges WHERE log = $1 AND erased_to < behind',
    [log.id],
  );
  for (const { first, erased_to, behind, run } of rows) {
    const open: IndexRange[] = [[erased_to, behind]];
    const named = shared(open, held);
    if (named.length === 0) continue;
    kept.push(...named);
    await tx.query('DELETE FROM retention_ranges WHERE log = $1 AND first = $2', [log.id, first]);
    const parts = without(open, held).map(([begin, end]) => ({ begin, to: begin, end }));
    // What is erased stays on record as such, together with the part that goes on from there.
    if (parts[0]?.begin === erased_to) parts[0].begin = first;
    else if (first < erased_to) parts.push({ begin: first, to: erased_to, end: erased_to });
    for (const { begin, to, end } of parts) {
      await tx.query('INSERT INTO retention_ranges (log, first, erased_to, behind, run) VALUES ($1, $2, $3, $4, $5)', [
        log.id,
        begin,
        to,
        end,
        run,
      ]);
    }
  }
  return kept;
}

function demandOwn(log: Log): void {
  if (log.name === SYSTEM_LOG) {
    throw new AntequemError('log-reserved', '_system is the log of the service itself: nothing in it is erased');
  }
}

function demandValid({ since, until, reason }: Pick<Hold, 'since' | 'until' | 'reason'>): void {
  if (since !== null && until !== null && since >= until) {
    throw new FormatError('hold-invalid', 'a hold ends after it begins');
  }
  if (reason.length === 0 || reason.length > MAX_REASON_LENGTH || /\p{Cc}/u.test(reason) || !reason.isWellFormed()) {
    throw new FormatError('hold-invalid', `a hold has a reason of 1 to ${MAX_REASON_LENGTH} characters in one line`);
  }
}

/** The store's answer. A store that hangs counts as unavailable. */
function ask<T>(store: HoldStore, answer: Promise<T>): Promise<T> {
  return within(STORE_PATIENCE_MS, answer, () => {
    const says = `${store.name} has not answered for ${STORE_PATIENCE_MS} ms, so nothing is erased until it does`;
    throw new AntequemError('guard-unavailable', says);
  });
}
