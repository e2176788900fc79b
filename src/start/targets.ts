// The targets of each kind of anchor, as the configuration describes them.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { AnchorType } from '../anchor/kind.ts';
import type { StoppedTarget } from '../anchor/recovery.ts';
import type { AnchorTarget } from '../anchor/target.ts';
import type { BitcoinConfig, OtsConfig } from '../config/calendars.ts';
import type { EvmConfig } from '../config/targets.ts';
import type { Config } from '../config.ts';
import { AntequemError } from '../core/errors.ts';
import { claimDeclaration } from '../evm/account.ts';
import { ANCHOR_ADDRESS } from '../evm/anchor-contract.ts';
import { chainHint } from '../evm/chain-hints.ts';
import { openSigner } from '../evm/signer.ts';
import { EvmTarget } from '../evm/target.ts';
import { skipNonces } from '../evm/unknown-rounds.ts';
import { recordedTransaction } from '../log/system.ts';
import { OtsTarget } from '../ots/target.ts';
import type { Database } from '../store/database.ts';
import { TsaTarget } from '../tsa/target.ts';
import { bitcoinSource } from './bitcoin-source.ts';
import type { Foundation } from './foundation.ts';

export interface TargetOutside {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
  /** Deploys the contract on a development chain that lacks it. */
  readonly ensureContract?: (() => Promise<void>) | undefined;
}

type Parts = Pick<Foundation, 'database' | 'registry' | 'appender'>;

/** By kind. Bitcoin comes first, because a round has room for three beacons. */
const OPENERS: Readonly<
  Record<AnchorType, (config: Config, parts: Parts, outside: TargetOutside) => Promise<readonly AnchorTarget[]>>
> = {
  opentimestamps: async ({ ots, bitcoin }, { database }, { now, logger }) =>
    ots === null ? [] : [openCalendars(ots, bitcoin, { database, now, logger })],
  evm: ({ targets }, parts, outside) => Promise.all(targets.map((evm) => openEvm(evm, parts, outside))),
  rfc3161: async ({ authorities }, { database }, { now, logger }) =>
    authorities.map(
      (authority) =>
        new TsaTarget({ ...authority, database, now, logger, randomNonce: () => new Uint8Array(randomBytes(8)) }),
    ),
};

/** All configured targets. Nothing is asked yet. @throws AntequemError `key-missing`, those of `openSigner` */
export async function openTargets(config: Config, parts: Parts, outside: TargetOutside): Promise<AnchorTarget[]> {
  const opened = await Promise.all(Object.values(OPENERS).map((open) => open(config, parts, outside)));
  return opened.flat();
}

async function openEvm(
  evm: EvmConfig,
  { database, registry, appender }: Parts,
  { now, logger, ensureContract }: TargetOutside,
): Promise<EvmTarget> {
  if (evm.key === null) throw new AntequemError('key-missing', `the target ${evm.name} has no key to pay with`);
  return new EvmTarget({
    name: evm.name,
    chainId: evm.chainId,
    rpcUrls: evm.rpcUrls,
    contract: evm.contract ?? ANCHOR_ADDRESS,
    storeEvery: evm.storeEvery,
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

export function openCalendars(
  ots: OtsConfig,
  bitcoin: BitcoinConfig,
  outside: Pick<TargetOutside, 'now' | 'logger'> & { readonly database: Database },
): OtsTarget {
  const { chain, confirmations } = bitcoin;
  return new OtsTarget({ ...ots, ...outside, chain, confirmations, source: bitcoinSource(bitcoin) });
}

/** Has a target that stopped over lost rounds continue, by kind. */
const LOSS_SKIPPERS: Readonly<
  Record<AnchorType, (target: StoppedTarget, config: Config, database: Database) => Promise<void>>
> = {
  evm: async ({ name, chain }, { targets }, database) => {
    const chainId = Number(chain.replace('eip155:', ''));
    const rpcUrls = targets.filter((target) => target.chainId === chainId).flatMap((target) => target.rpcUrls);
    await skipNonces(database, { target: name, chainId, rpcUrls });
  },
  // Calendars and authorities know nothing of a round that is lost.
  opentimestamps: async () => {},
  rfc3161: async () => {},
};

export function skippingLost(config: Config, database: Database): (target: StoppedTarget) => Promise<void> {
  return (target) => LOSS_SKIPPERS[target.type](target, config, database);
}

/** Milliseconds from the close of a round to its first final anchor on an EVM chain, as expected; null: never. */
export function finalityDelay(targets: readonly EvmConfig[]): number | null {
  const delays = targets.map(delayOf).filter((delay) => delay !== null);
  return delays.length === 0 ? null : Math.min(...delays);
}

/** Null: its nodes never call a block final. */
function delayOf({ chainId, ephemeral, confirmations }: EvmConfig): number | null {
  if (ephemeral) return 2_000;
  // Chains have a block at least every 12 s.
  if (confirmations !== null) return confirmations * 12_000;
  const { finalityMs = 15 * 60_000 } = chainHint(chainId);
  return finalityMs;
}

/** The same for each target by its name, calendars included; one that never makes a round final is left out. */
export function usualDelays({
  targets,
  ots,
  bitcoin,
}: Pick<Config, 'targets' | 'ots' | 'bitcoin'>): ReadonlyMap<string, number> {
  const delays = new Map<string, number>();
  for (const target of targets) setKnown(delays, target.name, delayOf(target));
  if (ots !== null) setKnown(delays, ots.name, confirmationDelay(ots, bitcoin));
  return delays;
}

function setKnown(delays: Map<string, number>, target: string, delay: number | null): void {
  if (delay !== null) delays.set(target, delay);
}

/** Milliseconds from the close of a round to its confirmation in Bitcoin, as expected; null: never. */
export function confirmationDelay(ots: OtsConfig | null, { rpcUrls, esploraUrls }: BitcoinConfig): number | null {
  if (ots === null || rpcUrls.length + esploraUrls.length === 0) return null;
  // Calendars wait for low fees, then for six blocks of ten minutes.
  return ots.ephemeral ? 60_000 : 3 * 3_600_000;
}
