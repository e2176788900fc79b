// Going on with a database that was set back: what was lost is declared in `_system`, then what there is counts.

import { toHex } from '../core/bytes.ts';
import { skipNonces } from '../evm/unknown-rounds.ts';
import type { Guard } from '../log/guard.ts';
import type { Loss } from '../log/holdings.ts';
import type { Registry } from '../log/registry.ts';
import { SET_BACK } from '../log/rollback.ts';
import type { Sequencing } from '../log/sequence.ts';
import { recordedTransaction, type SystemAct } from '../log/system.ts';
import type { Database } from '../store/database.ts';

/** A target that was stopped because its chain has rounds that the database has not. */
export interface StoppedTarget {
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  readonly contract: string;
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
    'SELECT name, chain, contract, stop_reason AS reason FROM targets WHERE stop_code = $1 ORDER BY name',
    [SET_BACK],
  );
  return { losses: await guard.losses(), targets: rows };
}

export interface Recovery {
  readonly database: Database;
  readonly registry: Registry;
  readonly sequencing: Sequencing;
  readonly guard: Guard;
  /** Of the stopped targets' chains, by CAIP-2. */
  readonly rpcUrls: ReadonlyMap<string, readonly string[]>;
}

/**
 * Records the damage in `_system`, then lets the database count. Cut off in between it can be run again: the damage is
 * then recorded twice, which harms nobody.
 * @throws AntequemError `guard-changed`, `guard-unavailable`; what the chains of stopped targets fail with
 */
export async function adopt(damage: Damage, recovery: Recovery): Promise<void> {
  const { database, registry, sequencing, guard } = recovery;
  const acts: SystemAct[] = [
    ...damage.losses.map(
      ({ subject, published, now }) =>
        ({
          act: 'recovered',
          subject,
          published: { size: published.size, root: toHex(published.root) },
          now: now === null ? null : { size: now.size, root: toHex(now.root) },
        }) as const,
    ),
    ...damage.targets.map(({ name, reason }) => ({ act: 'recovered', subject: name, reason }) as const),
  ];
  for (let i = 0; i < acts.length; i += AT_ONCE) {
    const part = acts.slice(i, i + AT_ONCE);
    await recordedTransaction(database, registry.system, sequencing, async () => ({ result: undefined, acts: part }));
  }
  for (const { name, chain, contract } of damage.targets) {
    const chainId = Number(chain.replace('eip155:', ''));
    await skipNonces(database, { target: name, contract, chainId, rpcUrls: recovery.rpcUrls.get(chain) ?? [] });
    await database.query(
      `UPDATE targets SET stopped_at = NULL, stop_code = NULL, stop_reason = NULL WHERE name = $1 AND stop_code = $2`,
      [name, SET_BACK],
    );
  }
  await guard.adopt(damage.losses);
}
