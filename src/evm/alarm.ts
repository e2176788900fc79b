// What only the operator can judge: a target stops, is on record as stopped, and goes on at the operator's command.

import { AntequemError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import { ForeignNonceError } from './nonce.ts';

/** To go on by itself after one of these could spend money twice. */
export const ALARMS: ReadonlySet<string> = new Set(['nonce-foreign', 'anchor-without-effect', 'chain-differs']);

/** Nothing is signed or sent any more until the operator says so. True for whoever stops it. */
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
 * Lets a target go on: foreign transactions seen so far are gone along with once they are final, and what was lost to
 * them, or came to nothing, is anchored anew once it cannot be mined any more.
 * @returns what had stopped it
 * @throws AntequemError `target-unknown`, `target-running`, `target-set-back` (the database was: not a matter of nonces)
 */
export async function resumeTarget(
  database: Database,
  name: string,
  now: number,
): Promise<{ readonly code: string; readonly reason: string }> {
  return transaction(database, async (tx) => {
    const { rows } = await tx.query<{ stop_code: string | null; stop_reason: string | null }>(
      'SELECT stop_code, stop_reason FROM targets WHERE name = $1 FOR UPDATE',
      [name],
    );
    const row = rows[0];
    if (row === undefined) {
      throw new AntequemError('target-unknown', `there is no target ${JSON.stringify(name)}: see antequem anchors`);
    }
    if (row.stop_code === null || row.stop_reason === null) {
      throw new AntequemError('target-running', `the target ${name} is not stopped`);
    }
    if (!ALARMS.has(row.stop_code)) {
      throw new AntequemError('target-set-back', `${row.stop_reason}: see antequem recover --help`);
    }
    await tx.query(
      `UPDATE evm_accounts a SET adopt = greatest(a.adopt, r.nonce_count)
       FROM target_alarms r WHERE r.target = $1 AND r.cleared_at IS NULL AND a.target = r.target`,
      [name],
    );
    await tx.query(
      'UPDATE evm_transactions SET cleared_at = $2 WHERE target = $1 AND lost_at IS NOT NULL AND cleared_at IS NULL',
      [name, now],
    );
    await tx.query('UPDATE target_alarms SET cleared_at = $2 WHERE target = $1 AND cleared_at IS NULL', [name, now]);
    await tx.query('UPDATE targets SET stopped_at = NULL, stop_code = NULL, stop_reason = NULL WHERE name = $1', [
      name,
    ]);
    return { code: row.stop_code, reason: row.stop_reason };
  });
}
