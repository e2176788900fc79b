// The nonces of an account: how many the chain counts, and which one the next transaction takes.

import { AntequemError, hasCode } from '../core/errors.ts';
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
    // One of several endpoints may not have heard of the newest: a nonce taken twice is worse than a needless alarm.
    node.transactionCount(address, 'pending', 'most').catch((error: unknown) => {
      // Chains without a pool of transactions count none that wait.
      if (hasCode(error, 'rpc-refused')) return 0;
      throw error;
    }),
  ]);
  return { latest, pending: Math.max(latest, pending) };
}

/** The chain counts more transactions of the account than are ours. Nothing is signed until it is clear whose they are. */
export class ForeignNonceError extends AntequemError {
  /** The first nonce that is not ours. */
  readonly nonce: number;
  /** What the chain counts: resuming means to go on behind these. */
  readonly count: number;

  constructor(
    code: 'nonce-suspect' | 'nonce-foreign' | 'nonce-unexplained',
    message: string,
    { nonce, count }: { readonly nonce: number; readonly count: number },
  ) {
    super(code, message);
    this.nonce = nonce;
    this.count = count;
  }
}

export interface NonceChoice {
  readonly counts: NonceCounts;
  /** Transactions of the account in final blocks; asked for where the operator resumed after foreign ones. */
  readonly final: number;
  /** Whether to go along with nonces that others took. */
  readonly adopt: boolean;
}

interface NonceRow {
  next_nonce: number | null;
  adopt: number | null;
}

/**
 * The first nonce to take. `counts` must have been read before the account's row was locked: then a chain that counts
 * more than the database gave out has seen a transaction that is not ours.
 * @throws ForeignNonceError `nonce-suspect` in that case, unless it is to be gone along with
 * @throws AntequemError `nonce-waiting` while foreign transactions that the operator knows of are not final
 */
export function firstNonce(
  { next_nonce: stored, adopt: known }: NonceRow,
  { counts, final, adopt }: NonceChoice,
  account: Account,
): number {
  if (stored === null) return counts.pending;
  if (counts.pending <= stored) return stored;
  if (adopt) return counts.pending;
  const has = `${account.address} has ${counts.pending} transactions on ${account.chain}, and ${stored} are of this database`;
  if (known === null || counts.pending > known) {
    throw new ForeignNonceError('nonce-suspect', `${has}: nothing is signed until it is clear what the others are`, {
      nonce: stored,
      count: counts.pending,
    });
  }
  if (final >= counts.pending) return counts.pending;
  // Were it reorganised away, everything behind it would wait for ever.
  throw new AntequemError('nonce-waiting', `${has}: going on once the others are final`);
}

/**
 * Locks the account's row until the transaction ends, and tells the first nonce nobody has taken.
 * @throws AntequemError those of `firstNonce`
 */
export async function lockNonce(tx: Transaction, account: Account, choice: NonceChoice): Promise<number> {
  const { rows } = await tx.query<NonceRow>(
    'SELECT next_nonce, adopt FROM evm_accounts WHERE chain = $1 AND address = $2 FOR UPDATE',
    [account.chain, account.address],
  );
  const row = rows[0];
  if (row === undefined) throw new AntequemError('account-unknown', `the account ${account.address} is not registered`);
  return firstNonce(row, choice, account);
}

/** Notes what the next nonce is; only under the lock. */
export async function setNonce(tx: Transaction, { chain, address }: Account, next: number): Promise<void> {
  await tx.query(
    `UPDATE evm_accounts SET next_nonce = $3, adopt = CASE WHEN adopt > $3 THEN adopt END
     WHERE chain = $1 AND address = $2`,
    [chain, address, next],
  );
}
