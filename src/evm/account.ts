import type { Logger } from 'pino';
import { utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from '../store/database.ts';
import { freshCall } from './anchor-contract.ts';
import { formatEther } from './ether.ts';
import { type FeeCaps, gasLimit, quoteFees } from './fees.ts';
import type { EvmNode } from './node.ts';

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

export interface BalanceWatch {
  readonly account: Account;
  /** 0x-hex. */
  readonly contract: string;
  readonly mode: 'anchor' | 'announce';
  /** Wei below which the operator is told; null: what the next hundred rounds may cost as fees are now. */
  readonly lowBalance: bigint | null;
  readonly caps: FeeCaps;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Notes what the account holds, and tells the operator once when that becomes too little for long. */
export async function watchBalance(database: Database, node: EvmNode, watch: BalanceWatch): Promise<void> {
  const { account, logger } = watch;
  const [balance, threshold] = await Promise.all([node.balance(account.address), lowWater(node, watch)]);
  const low = balance < threshold;
  const { rows } = await database.query<{ was_low: boolean | null }>(
    `UPDATE evm_accounts a SET balance = $3, balance_low = $4, balance_at = $5
     FROM (SELECT balance_low FROM evm_accounts WHERE chain = $1 AND address = $2 FOR UPDATE) before
     WHERE chain = $1 AND address = $2 RETURNING before.balance_low AS was_low`,
    [account.chain, account.address, balance.toString(), low, watch.now()],
  );
  if (rows.length === 0 || (rows[0]?.was_low ?? false) === low) return;
  const has = `${account.address} on ${account.chain} holds ${formatEther(balance)}`;
  if (low) logger.error({ code: 'balance-low' }, `${has}, less than ${formatEther(threshold)}: send it more`);
  else logger.info({ code: 'balance-low' }, `${has}: enough again`);
}

async function lowWater(node: EvmNode, { account, contract, lowBalance, caps, mode }: BalanceWatch): Promise<bigint> {
  if (lowBalance !== null) return lowBalance;
  const { maxFee } = await quoteFees(node, caps).catch(() => caps);
  const data = freshCall(mode, utf8(account.address));
  const estimate = await node.estimateGas({ from: account.address, to: contract, data }).catch(() => 0n);
  return 100n * maxFee * gasLimit(estimate, data, mode);
}
