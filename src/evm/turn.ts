import type { Database } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';

/**
 * Works on a target while no other process does, so that two do not send the same bytes side by side. Only that: what
 * must never happen twice is held by row locks and unique indexes. Null where no turn came within ten seconds.
 */
export async function takeTurn<T>(database: Database, target: string, work: () => Promise<T>): Promise<T | null> {
  return transaction(database, async (tx) => {
    await tx.query("SET LOCAL lock_timeout = '10s'");
    try {
      await takeLock(tx, `target ${target}`);
    } catch (error) {
      if (isLockTimeout(error)) {
        await tx.query('ROLLBACK; BEGIN');
        return null;
      }
      throw error;
    }
    return work();
  });
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03';
}
