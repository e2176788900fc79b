// Targets as the configuration describes them.

import type { Logger } from 'pino';
import { compareWithChain } from '../anchor/comparison.ts';
import type { EvmConfig } from '../config/targets.ts';
import { AntequemError } from '../core/errors.ts';
import { claimDeclaration } from '../evm/account.ts';
import { ANCHOR_ADDRESS } from '../evm/anchor-contract.ts';
import { openSigner } from '../evm/signer.ts';
import { EvmTarget } from '../evm/target.ts';
import { recordedTransaction } from '../log/system.ts';
import type { Foundation } from './foundation.ts';

export interface Outside {
  readonly now: () => number;
  readonly logger: Logger;
  /** Puts the contract on a development chain that lacks it. */
  readonly ensureContract?: (() => Promise<void>) | undefined;
}

/** @throws AntequemError `key-missing`, those of `openSigner` */
export async function openTarget(
  evm: EvmConfig,
  { database, registry, appender }: Foundation,
  { now, logger, ensureContract }: Outside,
): Promise<EvmTarget> {
  if (evm.key === null) throw new AntequemError('key-missing', `the target ${evm.name} has no key to pay with`);
  return new EvmTarget({
    name: evm.name,
    chainId: evm.chainId,
    rpcUrls: evm.rpcUrls,
    contract: evm.contract ?? ANCHOR_ADDRESS,
    mode: evm.mode,
    signer: await openSigner(evm.key, evm.name),
    ...(evm.confirmations === null ? {} : { finality: { by: 'depth', blocks: evm.confirmations } }),
    ephemeral: evm.ephemeral,
    caps: { maxFee: evm.maxFee, priorityFee: evm.maxPriorityFee },
    ...(evm.dailyBudget === null ? {} : { dailyBudget: evm.dailyBudget }),
    ...(evm.lowBalance === null ? {} : { lowBalance: evm.lowBalance }),
    replaceAfter: evm.replaceAfter,
    database,
    now,
    logger,
    declareSender: ({ chain, address }) =>
      recordedTransaction(database, registry.system, appender.sequencing, async (tx) => {
        const claimed = await claimDeclaration(tx, { chain, address }, now());
        return { result: undefined, acts: claimed ? [{ act: 'sender-declared', chain, address }] : [] };
      }),
    ...(ensureContract === undefined ? {} : { ensureContract }),
  });
}

/** Whether the database has the rounds that were anchored for it. */
export async function compareRounds(
  evm: EvmConfig,
  target: EvmTarget,
  { database, guard }: Foundation,
  { now, logger }: Outside,
): Promise<void> {
  // A chain that is started anew counts anew.
  if (evm.ephemeral) return;
  await target.register();
  const { chainId, rpcUrls } = evm;
  const search = { target: target.name, contract: evm.contract ?? ANCHOR_ADDRESS, chainId, rpcUrls };
  await compareWithChain({ database, search, rollback: guard.rollback, now, logger });
}

/** Milliseconds from the close of a round to its first anchor being final, as people may expect it; null: never. */
export function finalityDelay(targets: readonly EvmConfig[]): number | null {
  const delays = targets.map(({ ephemeral, confirmations }) => {
    if (ephemeral) return 2_000;
    // Ethereum makes final in two epochs of 6.4 minutes; blocks of other chains come faster than every 12 s.
    return confirmations === null ? 15 * 60_000 : confirmations * 12_000;
  });
  return delays.length === 0 ? null : Math.min(...delays);
}
