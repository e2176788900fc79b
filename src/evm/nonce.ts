import { AntequemError } from '../core/errors.ts';
import type { Transaction } from '../store/database.ts';
import type { Account } from './account.ts';
import type { EvmNode } from './node.ts';

/** How many transactions of an account the chain counts. */
export interface NonceCounts {
  /** Those mined. */
  readonly latest: number;
  /** Those mined and those waiting behind them without a gap. */
  readonly pending: number;
}

export async function countTransactions(node: EvmNode, address: string): Promise<NonceCounts> {
  const [latest, pending] = await Promise.all([
    node.transactionCount(address, 'latest'),
    node.transactionCount(address, 'pending'),
  ]);
  return { latest, pending: Math.max(latest, pending) };
}

/**
 * The first nonce to take. `counts` must have been read before the account's row was locked: then a chain that counts
 * more than the database gave out has seen a transaction that is not ours.
 * @throws AntequemError `nonce-foreign` in that case, unless `adopt`
 */
export function firstNonce(stored: number | null, counts: NonceCounts, account: Account, adopt: boolean): number {
  if (stored === null) return counts.pending;
  if (counts.pending <= stored) return stored;
  if (adopt) return counts.pending;
  throw new AntequemError(
    'nonce-foreign',
    `${account.address} has ${counts.pending} transactions on ${account.chain}, and ${stored} are of this database: ` +
      'somebody else uses the key, or the database was set back; find out which, then resume the target',
  );
}

/**
 * Locks the account's row until the transaction ends, and tells the first nonce nobody has taken.
 * @throws AntequemError `nonce-foreign`
 */
export async function lockNonce(
  tx: Transaction,
  account: Account,
  counts: NonceCounts,
  adopt: boolean,
): Promise<number> {
  const { rows } = await tx.query<{ next_nonce: number | null }>(
    'SELECT next_nonce FROM evm_accounts WHERE chain = $1 AND address = $2 FOR UPDATE',
    [account.chain, account.address],
  );
  const row = rows[0];
  if (row === undefined) throw new AntequemError('account-unknown', `the account ${account.address} is not registered`);
  return firstNonce(row.next_nonce, counts, account, adopt);
}

/** Notes what the next nonce is; only under the lock. */
export async function setNonce(tx: Transaction, { chain, address }: Account, next: number): Promise<void> {
  await tx.query('UPDATE evm_accounts SET next_nonce = $3 WHERE chain = $1 AND address = $2', [chain, address, next]);
}
