// What only the operator can judge: the target stops, this is recorded, and it continues when the operator says so, or when
// the chain no longer shows it.

import type { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from '../store/database.ts';
import type { Account } from './account.ts';
import { ACCOUNT_ID } from './account-id.ts';
import { ForeignNonceError } from './nonce.ts';

/** Continuing without the operator after one of these could spend money twice. */
export const ALARMS: ReadonlySet<string> = new Set([
  'nonce-foreign',
  'nonce-unexplained',
  'anchor-without-effect',
  'chain-differs',
]);

/** From now on nothing is signed or sent until the operator says so. @returns false where it was stopped already */
export async function stopTarget(
  database: Database,
  name: string,
  error: AntequemError,
  now: number,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `WITH stopped AS (
       UPDATE targets SET stopped_at = $2, stop_code = $3, stop_reason = $4
       WHERE name = $1 AND stopped_at IS NULL RETURNING name),
     older AS (
       UPDATE target_alarms SET cleared_at = $2 FROM stopped WHERE target = name AND cleared_at IS NULL)
     INSERT INTO target_alarms (target, at, code, reason, nonce_count) SELECT name, $2, $3, $4, $5 FROM stopped`,
    [name, now, error.code, error.message, error instanceof ForeignNonceError ? error.count : null],
  );
  return rowCount === 1;
}

/**
 * Lets the target continue without the operator where the chain no longer shows what stopped it: the transactions that
 * seemed lost are found, and the chain counts no more of the account's than are ours.
 * @param stopped the code by which it is stopped
 * @param pending what the chain counts of the account, those waiting included
 * @returns whether it continues
 */
export async function liftAlarm(
  database: Database,
  { target, address, chain }: { readonly target: string } & Account,
  { stopped, pending, now }: { readonly stopped: string; readonly pending: number; readonly now: number },
): Promise<boolean> {
  const { rows } = await database.query(
    `WITH lifted AS (
       UPDATE targets SET stopped_at = NULL, stop_code = NULL, stop_reason = NULL
       WHERE name = $3 AND stop_code = $4
         AND EXISTS (SELECT FROM evm_accounts WHERE chain = $1 AND address = $2 AND next_nonce >= $5)
         AND NOT EXISTS (SELECT FROM evm_transactions WHERE account = ${ACCOUNT_ID} AND lost_at IS NOT NULL
                           AND cleared_at IS NULL AND status IN ('signed', 'broadcast', 'included'))
       RETURNING name),
     cleared AS (UPDATE target_alarms SET cleared_at = $6 FROM lifted WHERE target = name AND cleared_at IS NULL)
     SELECT FROM lifted`,
    [chain, address, target, stopped, pending, now],
  );
  return rows.length > 0;
}

/**
 * The operator lets the target continue: nonces go on after the foreign transactions seen so far, once they are final, and
 * what was lost to them or had no effect is anchored again once it cannot be mined any more.
 */
export async function acceptAlarm(tx: Transaction, target: string, now: number): Promise<void> {
  await tx.query(
    `UPDATE evm_accounts a SET adopt = greatest(a.adopt, r.nonce_count)
     FROM target_alarms r WHERE r.target = $1 AND r.cleared_at IS NULL AND a.target = r.target`,
    [target],
  );
  await tx.query(
    'UPDATE evm_transactions SET cleared_at = $2 WHERE target = $1 AND lost_at IS NOT NULL AND cleared_at IS NULL',
    [target, now],
  );
  await tx.query('UPDATE target_alarms SET cleared_at = $2 WHERE target = $1 AND cleared_at IS NULL', [target, now]);
}
