// Deterministic deployment of the contract (design section 5): idempotent, and a dry run that counts the cost.

import {
  concat,
  formatEther,
  JsonRpcApiProvider,
  keccak256,
  type Provider,
  type Signer,
  type TransactionReceipt,
} from 'ethers';
import { AntequemError } from '../core/errors.ts';
import {
  ANCHOR_ADDRESS,
  ANCHOR_INIT_CODE,
  ANCHOR_RUNTIME_CODE_HASH,
  ANCHOR_SALT,
  encodeAnchor,
  encodeAnnounce,
} from './anchor-contract.ts';
import {
  createFactory,
  FACTORY_ADDRESS,
  FACTORY_CODE_HASH,
  FACTORY_DEPLOYER_NEEDS,
  gasObstacle,
  ORDINARY,
  type SentTransaction,
} from './factory.ts';
import { rejectionReason } from './rejection.ts';

/** Whole-transaction gas under Osaka rules, worst case of the root's bytes; held by the gas snapshot. */
export const MEASURED_GAS = { deployment: 264_396n, anchor: 45_534n, announce: 23_238n } as const;

const MONTH_MS = 30 * 24 * 3_600_000;

export interface DeployOptions {
  readonly provider: Provider;
  /** Who pays. Not needed for a dry run or where the contract stands already. */
  readonly signer?: Signer;
  /** Sends nothing. */
  readonly dryRun: boolean;
  /**
   * Without the deployment proxy, at an address that depends on the account and is of this chain alone. Each run that
   * sends makes another contract. Default false.
   */
  readonly ordinary?: boolean;
  /** Milliseconds between rounds, for the cost of a month. Default one minute. */
  readonly roundIntervalMs?: number;
}

/** Gas and its price in wei, at the fees of the moment. A rollup's fee for its data layer comes on top. */
export interface Cost {
  readonly gas: bigint;
  readonly wei: bigint;
}

export interface RoundCost extends Cost {
  /** If every round of 30 days has something to anchor. */
  readonly weiPerMonth: bigint;
}

export interface DeployResult {
  /** CAIP-2. */
  readonly chain: string;
  /** Of the contract; null where an ordinary deployment has not been sent. */
  readonly address: string | null;
  readonly status: 'already-deployed' | 'deployed' | 'would-deploy';
  /** The deterministic deployment proxy, as it was found. */
  readonly factory: 'present' | 'missing';
  /** Whether the address is of this chain alone, so that EVM_CONTRACT must name it. */
  readonly ordinary: boolean;
  /** What was sent, in that order; all of it is mined. */
  readonly transactions: readonly SentTransaction[];
  readonly account: { readonly address: string; readonly wei: bigint } | null;
  /** Wei per gas. */
  readonly gasPrice: bigint;
  /** `chain`: what the node estimates; `measured`: the figures of the snapshot, where it cannot. */
  readonly gasFrom: 'chain' | 'measured';
  readonly roundIntervalMs: number;
  /** What it cost if this run deployed it, else what it would. */
  readonly deployment: Cost;
  /** What creating the proxy takes besides: zero where it was found. */
  readonly factoryWei: bigint;
  /** Of a dry run: why the proxy cannot be created on this chain. Null: it can, or is not needed. */
  readonly factoryObstacle: string | null;
  readonly anchor: RoundCost;
  readonly announce: RoundCost;
}

/**
 * Makes sure that the contract stands at its one address, or says what that would cost.
 * @throws AntequemError `deploy-key-missing`, `deploy-funds`, `deploy-failed`, `deploy-code-differs`,
 * `deploy-factory-differs`, and those of `createFactory`
 */
export async function deployAnchor(options: DeployOptions): Promise<DeployResult> {
  const { provider, signer, dryRun, ordinary = false } = options;
  const present = await isDeployed(provider);
  const factory = await isFactoryPresent(provider);
  const proxied = factory || (ordinary && !present);
  const before = await costs(options, { contract: present ? ANCHOR_ADDRESS : null, factory });
  const found = {
    ...before,
    factory: factory ? 'present' : 'missing',
    factoryWei: proxied ? 0n : FACTORY_DEPLOYER_NEEDS,
    factoryObstacle: proxied || !dryRun ? null : await gasObstacle(provider),
    ordinary: ordinary && !present,
    address: ordinary && !present ? null : ANCHOR_ADDRESS,
  } as const;
  if (present) return { ...found, status: 'already-deployed', transactions: [] };
  if (dryRun) return { ...found, status: 'would-deploy', transactions: [] };
  if (signer === undefined) {
    throw new AntequemError(
      'deploy-key-missing',
      `the contract is not on ${before.chain} yet and no key was given to pay for it: give --key-file, or --dry-run for the cost`,
    );
  }
  const transactions = proxied ? [] : await createFactory(provider, signer);
  const created = await createContract(provider, signer, ordinary);
  if (created !== null) transactions.push({ purpose: 'create-contract', hash: created.hash });
  const address = ordinary ? (created?.contractAddress ?? null) : ANCHOR_ADDRESS;
  if (address === null || !(await isDeployed(provider, address))) {
    throw new AntequemError(
      'deploy-failed',
      `no code at ${address ?? 'any address'} after the deployment: look at ${created?.hash}`,
    );
  }
  // Once the contract stands the node can estimate what a round costs.
  const after = await costs(options, { contract: address, factory: true });
  const paid = created === null ? before.deployment : { gas: created.gasUsed, wei: created.fee };
  return { ...found, ...after, address, deployment: paid, status: 'deployed', transactions };
}

/** Whether the contract stands on that chain. @throws AntequemError `deploy-code-differs` */
async function isDeployed(provider: Provider, address: string = ANCHOR_ADDRESS): Promise<boolean> {
  const code = await provider.getCode(address);
  if (code === '0x') return false;
  const hash = keccak256(code);
  if (hash !== ANCHOR_RUNTIME_CODE_HASH) {
    throw new AntequemError(
      'deploy-code-differs',
      `the code at ${address} has hash ${hash}, not ${ANCHOR_RUNTIME_CODE_HASH}: this is not our contract; do not anchor on this chain with it`,
    );
  }
  return true;
}

async function isFactoryPresent(provider: Provider): Promise<boolean> {
  const code = await provider.getCode(FACTORY_ADDRESS);
  if (code === '0x') return false;
  const hash = keccak256(code);
  if (hash !== FACTORY_CODE_HASH) {
    throw new AntequemError(
      'deploy-factory-differs',
      `the code at ${FACTORY_ADDRESS} has hash ${hash}: this chain has something else where the deployment proxy belongs`,
    );
  }
  return true;
}

/** What created it, or null if somebody else was faster. */
async function createContract(
  provider: Provider,
  signer: Signer,
  ordinary: boolean,
): Promise<TransactionReceipt | null> {
  try {
    const sent = await signer.sendTransaction(deployment(ordinary));
    return await sent.wait();
  } catch (cause) {
    if (!ordinary && (await isDeployed(provider))) return null;
    const why = rejectionReason(cause);
    if (/insufficient funds|enough funds/i.test(why)) {
      throw new AntequemError(
        'deploy-funds',
        `the account ${await signer.getAddress()} cannot pay for the deployment (${why}): fund it, then run this again`,
        { cause },
      );
    }
    throw new AntequemError(
      'deploy-failed',
      `the deployment failed: ${why}; at most its gas is lost, and to run it again is safe`,
      {
        cause,
      },
    );
  }
}

function deployment(ordinary: boolean): Call {
  return ordinary ? { data: ANCHOR_INIT_CODE } : { to: FACTORY_ADDRESS, data: concat([ANCHOR_SALT, ANCHOR_INIT_CODE]) };
}

interface Call {
  readonly to?: string;
  readonly data: string;
}

async function costs(
  options: DeployOptions,
  { contract, factory }: { readonly contract: string | null; readonly factory: boolean },
) {
  const { provider, signer, ordinary = false, roundIntervalMs = 60_000 } = options;
  const [network, fees] = await Promise.all([provider.getNetwork(), provider.getFeeData()]);
  const gasPrice = fees.gasPrice ?? fees.maxFeePerGas ?? 0n;
  const from = await signer?.getAddress();
  const account = from === undefined ? null : { address: from, wei: await provider.getBalance(from) };
  const estimate = (call: Call): Promise<bigint | null> =>
    provider.estimateGas(from === undefined ? call : { ...call, from }).catch(() => null);
  const estimateRound = (data: string): Promise<bigint | null> =>
    contract === null ? estimateAsIfDeployed(provider, data) : estimate({ to: contract, data });

  // No zero byte: the dearest calldata a root can have.
  const root = new Uint8Array(32).fill(0xff);
  const anchor = await estimateRound(encodeAnchor(root));
  const announce = await estimateRound(encodeAnnounce(root));
  const create = contract === null && (factory || ordinary) ? await estimate(deployment(ordinary)) : null;

  const cost = (gas: bigint): Cost => ({ gas, wei: gas * gasPrice });
  const roundCost = (gas: bigint): RoundCost => ({
    ...cost(gas),
    weiPerMonth: (gas * gasPrice * BigInt(MONTH_MS)) / BigInt(roundIntervalMs),
  });
  return {
    chain: `eip155:${network.chainId}`,
    account,
    gasPrice,
    gasFrom: anchor !== null && announce !== null ? ('chain' as const) : ('measured' as const),
    roundIntervalMs,
    deployment: cost(create ?? MEASURED_GAS.deployment),
    anchor: roundCost(anchor ?? MEASURED_GAS.anchor),
    announce: roundCost(announce ?? MEASURED_GAS.announce),
  };
}

/** What a call would take if the contract stood at its address; null where the node does not pretend that (geth does). */
async function estimateAsIfDeployed(provider: Provider, data: string): Promise<bigint | null> {
  if (!(provider instanceof JsonRpcApiProvider)) return null;
  try {
    // Run as a call, the code that creates the contract returns the contract's code.
    const code = await provider.call({ data: ANCHOR_INIT_CODE });
    const call = { to: ANCHOR_ADDRESS, data };
    return BigInt(await provider.send('eth_estimateGas', [call, 'latest', { [ANCHOR_ADDRESS]: { code } }]));
  } catch {
    return null;
  }
}

/** The result as a person reads it: some lines, amounts in the chain's coin. */
export function formatDeployResult(result: DeployResult): string {
  const { deployment, anchor, announce } = result;
  const says = {
    'already-deployed': 'stands already; nothing was sent',
    deployed: 'deployed',
    'would-deploy': 'not deployed yet; nothing was sent',
  }[result.status];
  const missing = result.factory === 'missing' && result.status === 'would-deploy' && !result.ordinary;
  const seconds = result.roundIntervalMs / 1_000;
  return [
    `contract    ${result.address ?? 'at an address of its own'} on ${result.chain}: ${says}`,
    ...(result.ordinary && result.address !== null
      ? [`setting     EVM_CONTRACT=${result.address} (contract in TARGETS_FILE): the address is of this chain alone`]
      : []),
    ...result.transactions.map(({ purpose, hash }) => `sent        ${hash} (${purpose.replaceAll('-', ' ')})`),
    ...(missing && result.factoryObstacle !== null
      ? [`factory     missing: ${result.factoryObstacle} ${ORDINARY[0]?.toUpperCase()}${ORDINARY.slice(1)}`]
      : missing
        ? [`factory     missing: creating it takes ${formatEther(result.factoryWei)} coins and a presigned transaction`]
        : []),
    ...(result.account ? [`account     ${result.account.address}: ${formatEther(result.account.wei)} coins`] : []),
    `gas price   ${result.gasPrice} wei`,
    `deployment  ${deployment.gas} gas, ${formatEther(deployment.wei)} coins, once`,
    `anchor      ${anchor.gas} gas a round, ${formatEther(anchor.wei)} coins; ${formatEther(anchor.weiPerMonth)} a month`,
    `announce    ${announce.gas} gas a round, ${formatEther(announce.wei)} coins; ${formatEther(announce.weiPerMonth)} a month`,
    ...(result.gasFrom === 'measured'
      ? [
          'Gas as measured under the rules of Osaka, since the node cannot estimate it yet; Amsterdam makes storing three times as dear.',
        ]
      : []),
    `A month: 30 days with a round every ${seconds} s, at most. A rollup adds its fee for data.`,
  ].join('\n');
}
