// What only the operator can judge: the target stops, this is recorded, and it continues when the operator says so.

import type { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from '../store/database.ts';
import { ForeignNonceError } from './nonce.ts';

/** Continuing without the operator after one of these could spend money twice. */
export const ALARMS: ReadonlySet<string> = new Set(['nonce-foreign', 'anchor-without-effect', 'chain-differs']);

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
