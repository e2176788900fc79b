import { AntequemError } from '../core/errors.ts';
import { SET_BACK } from '../log/rollback.ts';
import type { Database } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { AnchorKinds, AnchorType } from './kind.ts';

/**
 * Lets a target continue that stopped because continuing without the operator could do harm.
 * @returns why it had stopped
 * @throws AntequemError `target-unknown`, `target-running`, `target-set-back` (the database was set back: see recovery.ts)
 */
export async function resumeTarget(
  kinds: AnchorKinds,
  database: Database,
  name: string,
  now: number,
): Promise<{ readonly code: string; readonly reason: string }> {
  return transaction(database, async (tx) => {
    const { rows } = await tx.query<{ kind: AnchorType; stop_code: string | null; stop_reason: string | null }>(
      'SELECT kind, stop_code, stop_reason FROM targets WHERE name = $1 FOR UPDATE',
      [name],
    );
    const [row] = rows;
    if (row === undefined) {
      throw new AntequemError('target-unknown', `there is no target ${JSON.stringify(name)}: see antequem anchors`);
    }
    const { kind, stop_code: code, stop_reason: reason } = row;
    if (code === null || reason === null)
      throw new AntequemError('target-running', `the target ${name} is not stopped`);
    if (code === SET_BACK) throw new AntequemError('target-set-back', `${reason}: see antequem recover --help`);
    await kinds[kind].accept(tx, name, now);
    await tx.query('UPDATE targets SET stopped_at = NULL, stop_code = NULL, stop_reason = NULL WHERE name = $1', [
      name,
    ]);
    return { code, reason };
  });
}
