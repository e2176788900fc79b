// Continuing with a database that was set back: what was lost is declared in `_system`, then the database counts as it is.

import { toHex } from '../core/bytes.ts';
import type { Guard } from '../log/guard.ts';
import { lockErasing } from '../log/holds.ts';
import { type Loss, largestLosses } from '../log/losses.ts';
import type { Registry } from '../log/registry.ts';
import { SET_BACK } from '../log/rollback.ts';
import type { Sequencing } from '../log/sequence.ts';
import { recordedTransaction, type SystemAct } from '../log/system.ts';
import type { Database } from '../store/database.ts';
import type { AnchorType } from './kind.ts';

/** A target that was stopped because its chain has rounds that the database lacks. */
export interface StoppedTarget {
  readonly name: string;
  readonly type: AnchorType;
  /** CAIP-2. */
  readonly chain: string;
  readonly reason: string;
}

/** What adopting the database gives up. */
export interface Damage {
  readonly losses: readonly Loss[];
  readonly targets: readonly StoppedTarget[];
}

/** Acts of one transaction. */
const AT_ONCE = 5_000;

/** @throws AntequemError `guard-unavailable` */
export async function assessDamage(database: Database, guard: Guard): Promise<Damage> {
  const { rows } = await database.query<StoppedTarget>(
    'SELECT name, kind AS type, chain, stop_reason AS reason FROM targets WHERE stop_code = $1 ORDER BY name',
    [SET_BACK],
  );
  return { losses: await guard.losses(), targets: rows };
}

export interface Recovery {
  readonly database: Database;
  readonly registry: Registry;
  readonly sequencing: Sequencing;
  readonly guard: Guard;
  /** Has a stopped target continue after everything that its chain has. */
  readonly skipLost: (target: StoppedTarget) => Promise<void>;
}

/**
 * Records the damage in `_system`, then lets the database count. If it is interrupted it can be run again: the damage is
 * then recorded twice, which does no harm.
 * @throws AntequemError `guard-changed`, `guard-unavailable`; what the chains of stopped targets fail with
 */
export async function adopt(damage: Damage, recovery: Recovery): Promise<void> {
  const { database, registry, sequencing, guard } = recovery;
  const acts: SystemAct[] = [
    ...largestLosses(damage.losses).map(
      ({ subject, published, now }) =>
        ({
          act: 'recovered',
          subject,
          published: { size: published.size, root: toHex(published.root) },
          now: now === null ? null : { size: now.size, root: toHex(now.root) },
          holds: 'unconfirmed',
        }) as const,
    ),
    ...damage.targets.map(
      ({ name, reason }) => ({ act: 'recovered', subject: name, reason, holds: 'unconfirmed' }) as const,
    ),
  ];
  for (let i = 0; i < acts.length; i += AT_ONCE) {
    const part = acts.slice(i, i + AT_ONCE);
    await recordedTransaction(database, registry.system, sequencing, async (tx) => {
      // Holds may have been lost, too. What is being erased ends first, so that its act stands before this one.
      await lockErasing(tx);
      await tx.query('UPDATE retention_state SET unconfirmed_since = $1', [sequencing.effects.now()]);
      return { result: undefined, acts: part };
    });
  }
  for (const target of damage.targets) {
    await recovery.skipLost(target);
    await database.query(
      `UPDATE targets SET stopped_at = NULL, stop_code = NULL, stop_reason = NULL WHERE name = $1 AND stop_code = $2`,
      [target.name, SET_BACK],
    );
  }
  await guard.adopt(damage.losses);
}
