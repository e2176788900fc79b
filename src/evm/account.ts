import { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from '../store/database.ts';

export interface Account {
  /** CAIP-2. */
  readonly chain: string;
  /** 0x and 40 lower-case hex digits. */
  readonly address: string;
}

/** Makes an account known as a target's. @throws AntequemError `account-taken` where it pays for another one */
export async function registerAccount(
  tx: Transaction,
  { chain, address }: Account,
  target: string,
  now: number,
): Promise<void> {
  await tx.query(
    `INSERT INTO evm_accounts (chain, address, target, created_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (chain, address) DO NOTHING`,
    [chain, address, target, now],
  );
  const { rows } = await tx.query<{ target: string }>(
    'SELECT target FROM evm_accounts WHERE chain = $1 AND address = $2',
    [chain, address],
  );
  const owner = rows[0]?.target;
  if (owner === target) return;
  throw new AntequemError(
    'account-taken',
    `the account ${address} on ${chain} pays for the target ${owner}: two targets cannot share its nonces, give ${target} another key`,
  );
}

/**
 * Takes it upon the transaction to declare the account in `_system`: true once, for whoever comes first and commits.
 */
export async function claimDeclaration(tx: Transaction, { chain, address }: Account, now: number): Promise<boolean> {
  const { rowCount } = await tx.query(
    'UPDATE evm_accounts SET declared_at = $3 WHERE chain = $1 AND address = $2 AND declared_at IS NULL',
    [chain, address, now],
  );
  return rowCount === 1;
}

export async function isDeclared(database: Database, { chain, address }: Account): Promise<boolean> {
  const { rows } = await database.query<{ declared: boolean }>(
    'SELECT declared_at IS NOT NULL AS declared FROM evm_accounts WHERE chain = $1 AND address = $2',
    [chain, address],
  );
  return rows[0]?.declared === true;
}
