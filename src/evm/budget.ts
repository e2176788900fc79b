// How much may still be spent: by the budget of a day, and by what the account holds.

import { AntequemError } from '../core/errors.ts';
import type { Queryable } from '../store/database.ts';
import type { Account } from './account.ts';
import { ACCOUNT_ID } from './account-id.ts';
import { formatEther } from './ether.ts';

/** What a budget is for: any 24 hours, not those of a calendar, so that midnight does not double it. */
export const DAY_MS = 24 * 3_600_000;

export interface Limits {
  /** Wei that may be spent within any 24 hours; null: no limit. */
  readonly dailyBudget: bigint | null;
  /** Wei that the account holds in the newest block. */
  readonly balance: bigint;
  /** Mined transactions of the account in that block. */
  readonly mined: number;
}

/**
 * Wei that the account's nonces signed for within 24 hours cost; where none of a nonce's attempts is in a block, the most
 * that one of them may cost.
 */
export async function spentInADay(database: Queryable, { chain, address }: Account, now: number): Promise<bigint> {
  const { rows } = await database.query<{ wei: string }>(
    `SELECT coalesce(sum(wei), 0)::text AS wei FROM (
       SELECT coalesce(max(cost), max(gas_limit * max_fee) FILTER (WHERE status <> 'abandoned'), 0) AS wei
       FROM (SELECT DISTINCT target, round, account, instance, nonce FROM evm_transactions
             WHERE account = ${ACCOUNT_ID} AND signed_at > $3) d
       JOIN evm_transactions t USING (target, round, account, instance, nonce) GROUP BY instance, nonce) s`,
    [chain, address, now - DAY_MS],
  );
  return BigInt(rows[0]?.wei ?? 0);
}

/** Wei that transactions which are not mined may take from the account. */
async function outstanding(database: Queryable, { chain, address }: Account, mined: number): Promise<bigint> {
  const { rows } = await database.query<{ wei: string }>(
    `SELECT coalesce(sum(wei), 0)::text AS wei FROM (
       SELECT max(gas_limit * max_fee) AS wei FROM evm_transactions
       WHERE account = ${ACCOUNT_ID} AND nonce >= $3 AND status IN ('signed', 'broadcast', 'replaced')
       GROUP BY nonce) s`,
    [chain, address, mined],
  );
  return BigInt(rows[0]?.wei ?? 0);
}

/** How many transactions can be paid for, and what stands in the way of more. */
export interface Allowance {
  readonly count: number;
  readonly refusal: AntequemError | null;
}

/**
 * How many of `wanted` transactions may be signed that cost `each` wei at most. Only under the lock of the account's row:
 * else two could spend the same money. Refusals: `budget-spent`, `balance-short`.
 */
export async function allow(
  database: Queryable,
  account: Account,
  limits: Limits,
  { wanted, each, now }: { readonly wanted: number; readonly each: bigint; readonly now: number },
): Promise<Allowance> {
  const { dailyBudget, balance, mined } = limits;
  const most = `up to ${formatEther(each)} a transaction`;
  const held = balance - (await outstanding(database, account, mined));
  const payable = each === 0n ? wanted : Number(clamp(held / each, BigInt(wanted)));
  if (dailyBudget !== null) {
    const spent = await spentInADay(database, account, now);
    const budgeted = each === 0n ? wanted : Number(clamp((dailyBudget - spent) / each, BigInt(wanted)));
    if (budgeted < wanted && budgeted <= payable) {
      const refusal = new AntequemError(
        'budget-spent',
        `${formatEther(spent)} of the ${formatEther(dailyBudget)} that ${account.address} may spend in 24 hours on ` +
          `${account.chain} are spent or promised, at ${most}: the rest waits`,
      );
      return { count: budgeted, refusal };
    }
  }
  if (payable === wanted) return { count: wanted, refusal: null };
  const refusal = new AntequemError(
    'balance-short',
    `${account.address} on ${account.chain} has ${formatEther(held > 0n ? held : 0n)} to spare, at ${most}: send it more`,
  );
  return { count: payable, refusal };
}

function clamp(value: bigint, most: bigint): bigint {
  if (value < 0n) return 0n;
  return value < most ? value : most;
}
