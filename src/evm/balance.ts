import { formatEther } from 'ethers';
import type { Logger } from 'pino';
import type { Database } from '../store/database.ts';
import type { Account } from './account.ts';
import { type FeeCaps, gasLimit, quoteFees } from './fees.ts';
import type { EvmNode } from './node.ts';

export interface BalanceWatch {
  readonly account: Account;
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

async function lowWater(node: EvmNode, { lowBalance, caps, mode }: BalanceWatch): Promise<bigint> {
  if (lowBalance !== null) return lowBalance;
  const { maxFee } = await quoteFees(node, caps).catch(() => caps);
  return 100n * maxFee * gasLimit(0n, '0x', mode);
}
