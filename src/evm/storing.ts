// Which rounds the contract stores: storing is dear, announcing cheap, and one stored round vouches for all before it.

import { AntequemError } from '../core/errors.ts';
import type { Database, Queryable, Transaction } from '../store/database.ts';

/**
 * What a transaction is for. `round`: says a round's root on the chain for the first time. `store`: has the contract store
 * the root of a round that was announced.
 */
export type Purpose = 'round' | 'store';

/** Where the state of what was sent stands; the tables have columns of the same names. */
export const STATE_TABLE = { round: 'anchors', store: 'evm_stores' } as const satisfies Record<Purpose, string>;

/** Milliseconds between two stored rounds; `always`: each is, `never`: none. */
export type StoreEvery = number | 'always' | 'never';

/** Rounds between two stored ones at most, so that paths stay short. */
export const MAX_BETWEEN = 256;

/** The newest round that is stored or will be. */
interface Stored {
  readonly round: number;
  /** When that round closed, milliseconds since the Unix epoch. */
  readonly closedAt: number;
}

/** Under the lock of the account's row nobody else decides. */
async function newestStored(db: Queryable, target: string): Promise<Stored | null> {
  const { rows } = await db.query<Stored>(
    `SELECT t.round, r.closed_at AS "closedAt" FROM evm_transactions t JOIN rounds r ON r.number = t.round
     WHERE t.target = $1 AND t.stores AND t.status <> 'abandoned' ORDER BY t.round DESC LIMIT 1`,
    [target],
  );
  return rows[0] ?? null;
}

export interface ClosedRound {
  readonly round: number;
  readonly closedAt: number;
}

/** Those of the rounds, in their order, that are to be stored as they are sent. Under the lock of the account's row. */
export async function roundsToStore(
  tx: Transaction,
  target: string,
  every: StoreEvery,
  rounds: readonly ClosedRound[],
): Promise<Set<number>> {
  if (every === 'always') return new Set(rounds.map(({ round }) => round));
  if (every === 'never') return new Set();
  const chosen = new Set<number>();
  let last = await newestStored(tx, target);
  for (const each of rounds) {
    if (last !== null && each.round < last.round) continue;
    if (last !== null && each.closedAt - last.closedAt < every && each.round - last.round < MAX_BETWEEN) continue;
    chosen.add(each.round);
    last = each;
  }
  return chosen;
}

/**
 * The round to store by a transaction of its own: the newest that was announced, once one has waited for `every`
 * milliseconds for a stored successor. Null: none is due.
 */
export async function dueStore(
  db: Queryable,
  target: string,
  every: StoreEvery,
  now: number,
): Promise<(ClosedRound & { readonly root: Uint8Array }) | null> {
  if (typeof every !== 'number') return null;
  const { rows } = await db.query<{ round: number; root: Uint8Array; closed_at: number; waits: number }>(
    `WITH stored AS (SELECT coalesce(max(round), 0) AS round FROM evm_transactions
                     WHERE target = $1 AND stores AND status <> 'abandoned'),
     waiting AS (SELECT min(t.round) AS first, max(t.round) AS last FROM evm_transactions t, stored
                 WHERE t.target = $1 AND t.purpose = 'round' AND NOT t.stores AND t.round > stored.round
                   AND t.status IN ('included', 'finalized'))
     SELECT l.number AS round, l.root, l.closed_at, $2 - f.closed_at AS waits
     FROM waiting JOIN rounds f ON f.number = waiting.first JOIN rounds l ON l.number = waiting.last`,
    [target, now],
  );
  const [row] = rows;
  if (row === undefined || row.waits < every) return null;
  return { round: row.round, root: new Uint8Array(row.root), closedAt: row.closed_at };
}

/** Stores that are under way, the oldest first. */
export async function unfinishedStores(database: Database, target: string): Promise<number[]> {
  const { rows } = await database.query<{ round: number }>(
    "SELECT round FROM evm_stores WHERE target = $1 AND status <> 'finalized' ORDER BY round LIMIT 100",
    [target],
  );
  return rows.map(({ round }) => round);
}

/** Whether there is anything to do about stores, so that quiet logs are looked after too. */
export async function storesWanted(
  database: Database,
  target: string,
  every: StoreEvery,
  now: number,
): Promise<boolean> {
  if ((await unfinishedStores(database, target)).length > 0) return true;
  return (await dueStore(database, target, every, now)) !== null;
}

/** As a target's row has it. @throws AntequemError `internal` */
export function storeEveryOf(mode: string, every: number | null): StoreEvery {
  if (mode === 'anchor') return 'always';
  if (mode !== 'announce') throw new AntequemError('internal', `a target of mode ${mode}`);
  return every ?? 'never';
}
