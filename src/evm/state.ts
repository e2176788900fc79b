// The row of a target: what it is, on which instance of its chain, and whether something stopped it.

import { AntequemError } from '../core/errors.ts';
import { type Database, transaction } from '../store/database.ts';
import { registerAccount } from './account.ts';
import { type StoreEvery, storeEveryOf } from './storing.ts';

export interface TargetIdentity {
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  /** 0x and 40 lower-case hex digits. */
  readonly contract: string;
  readonly ephemeral: boolean;
}

export interface TargetState extends TargetIdentity {
  /** How often its chain was started, from 1. */
  readonly instance: number;
  /** Hash of block 0; null until first looked at. */
  readonly genesis: Uint8Array | null;
  /** Which rounds the contract stores. */
  readonly storeEvery: StoreEvery;
  readonly stopped: { readonly code: string; readonly reason: string } | null;
}

interface TargetRow {
  name: string;
  chain: string;
  contract: string;
  mode: string;
  store_every: number | null;
  ephemeral: boolean;
  instance: number;
  genesis: Uint8Array | null;
  stop_code: string | null;
  stop_reason: string | null;
}

const COLUMNS = 'name, chain, contract, mode, store_every, ephemeral, instance, genesis, stop_code, stop_reason';

/** Of targets that are new and say nothing else. */
const USUAL_STORE_EVERY_MS = 3_600_000;

/**
 * Adds a target and the account that pays for it. Its chain and contract never change: they are part of what its anchors
 * mean. Which rounds are stored may change; where nothing is said it stays as it was. @throws AntequemError `target-differs`, `account-taken`
 */
export async function registerTarget(
  database: Database,
  identity: TargetIdentity,
  options: {
    readonly sender: string;
    readonly firstRound: number | null;
    /** Null: as the database has it. */
    readonly storeEvery: StoreEvery | null;
    readonly now: number;
  },
): Promise<void> {
  const { name, chain, contract, ephemeral } = identity;
  const every = options.storeEvery ?? USUAL_STORE_EVERY_MS;
  const mode = every === 'always' ? 'anchor' : 'announce';
  const milliseconds = typeof every === 'number' ? every : null;
  await transaction(database, async (tx) => {
    await tx.query(
      // Without a named index: two processes that add it at once can meet in any of its unique indexes.
      `INSERT INTO targets (name, kind, chain, contract, mode, store_every, ephemeral, first_round, created_at)
       VALUES ($1, 'evm', $2, $3, $4, $8, $5, coalesce($6, (SELECT coalesce(max(number), 0) + 1 FROM rounds)), $7)
       ON CONFLICT DO NOTHING`,
      [name, chain, contract, mode, ephemeral, options.firstRound, options.now, milliseconds],
    );
    if (options.storeEvery !== null) {
      await tx.query(
        `UPDATE targets SET mode = $2, store_every = $3
         WHERE name = $1 AND kind = 'evm' AND (mode, store_every) IS DISTINCT FROM ($2, $3::bigint)`,
        [name, mode, milliseconds],
      );
    }
    const { rows } = await tx.query<TargetRow>(`SELECT ${COLUMNS} FROM targets WHERE name = $1`, [name]);
    const row = rows[0];
    const known = row === undefined ? '' : describe(row);
    if (known !== describe(identity)) {
      throw new AntequemError(
        'target-differs',
        `the target ${name} is ${known} in the database and ${describe(identity)} now: give what changed a new name`,
      );
    }
    await registerAccount(tx, { chain, address: options.sender }, name, options.now);
  });
}

function describe({ chain, contract, ephemeral }: Omit<TargetIdentity, 'name'>): string {
  return `at ${contract} on ${chain}${ephemeral ? ', which may be started anew' : ''}`;
}

/** @throws AntequemError `target-unknown` */
export async function readTarget(database: Database, name: string): Promise<TargetState> {
  const { rows } = await database.query<TargetRow>(`SELECT ${COLUMNS} FROM targets WHERE name = $1`, [name]);
  const row = rows[0];
  if (row === undefined) throw new AntequemError('target-unknown', `the database has no target ${name}`);
  const { genesis, mode, store_every, stop_code, stop_reason, ...rest } = row;
  return {
    ...rest,
    storeEvery: storeEveryOf(mode, store_every),
    genesis: genesis === null ? null : new Uint8Array(genesis),
    stopped: stop_code === null || stop_reason === null ? null : { code: stop_code, reason: stop_reason },
  };
}

export async function setGenesis(database: Database, { name }: TargetState, genesis: Uint8Array): Promise<void> {
  await database.query('UPDATE targets SET genesis = $2 WHERE name = $1 AND genesis IS NULL', [
    name,
    Buffer.from(genesis),
  ]);
}

/** What stands in the way, for those who wonder why nothing moves; null: nothing does. */
export interface Problems {
  /** Of what is not in a block. */
  readonly sending: string | null;
  /** Of what is. */
  readonly confirming: string | null;
}

/** Notes the problems of rounds with a target, and of what it stores. @returns the rounds that are not final */
export async function noteProblems(
  database: Database,
  target: string,
  rounds: readonly number[],
  { sending, confirming }: Problems,
  now: number,
): Promise<Set<number>> {
  await database.query(
    `UPDATE anchors SET problem = CASE WHEN status = 'included' THEN $4 ELSE $3 END, updated_at = $5
     WHERE target = $1 AND round = ANY ($2::bigint[]) AND status <> 'finalized'
       AND problem IS DISTINCT FROM CASE WHEN status = 'included' THEN $4 ELSE $3 END`,
    [target, rounds, sending, confirming, now],
  );
  await database.query(
    `UPDATE evm_stores SET problem = CASE WHEN status = 'included' THEN $3 ELSE $2 END, updated_at = $4
     WHERE target = $1 AND status <> 'finalized' AND problem IS DISTINCT FROM CASE WHEN status = 'included' THEN $3 ELSE $2 END`,
    [target, sending, confirming, now],
  );
  const { rows } = await database.query<{ round: number }>(
    `SELECT round FROM anchors WHERE target = $1 AND round = ANY ($2::bigint[]) AND status <> 'finalized'`,
    [target, rounds],
  );
  return new Set(rows.map(({ round }) => round));
}

/** Rounds that are not final, or lack a proof that is tried again; the oldest first. */
export async function unfinishedRounds(database: Database, target: string, most: number): Promise<number[]> {
  const { rows } = await database.query<{ round: number }>(
    `SELECT round FROM anchors WHERE target = $1 AND status <> 'finalized'
     UNION
     SELECT round FROM evm_evidence JOIN anchors USING (target, round, block_hash)
     WHERE target = $1 AND retry_at IS NOT NULL
     ORDER BY round LIMIT $2`,
    [target, most],
  );
  return rows.map(({ round }) => round);
}
