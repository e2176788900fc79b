import { getBytes } from 'ethers';
import { AntequemError } from '../core/errors.ts';
import type { EvmNode } from './node.ts';

/** Wei per gas. */
export interface Fees {
  readonly maxFee: bigint;
  readonly priorityFee: bigint;
}

/** What a transaction of ours may cost at most, wei per gas. */
export interface FeeCaps {
  readonly maxFee: bigint;
  readonly priorityFee: bigint;
}

/**
 * EIP-1559 fees that stay good for a base fee twice that of the newest block, within the caps. Where the base fee leaves
 * it, they keep room below the caps for three replacements.
 * @throws AntequemError `fees-above-cap`, `fees-unsupported`
 */
export async function quoteFees(node: EvmNode, caps: FeeCaps): Promise<Fees> {
  const [baseFee, proposed] = await Promise.all([
    readBaseFee(node),
    // Not every node has an opinion on tips.
    node.priorityFee().catch(() => 1_000_000_000n),
  ]);
  const tip = least(proposed, withRoom(caps.priorityFee));
  if (baseFee + tip > caps.maxFee) throw aboveCap(`the base fee is ${baseFee} wei and the tip ${tip}`, caps.maxFee);
  const room = withRoom(caps.maxFee);
  return { maxFee: least(2n * baseFee + tip, baseFee + tip <= room ? room : caps.maxFee), priorityFee: tip };
}

/** Of the newest block, wei per gas. @throws AntequemError `fees-unsupported` */
export async function readBaseFee(node: EvmNode): Promise<bigint> {
  const baseFee = (await node.block('latest'))?.baseFee ?? null;
  if (baseFee === null) throw new AntequemError('fees-unsupported', `${node.name}: a chain without EIP-1559 fees`);
  return baseFee;
}

/**
 * What outbids transactions with fees up to `highest`: both an eighth higher at least, and as much as one would offer
 * now. Nodes ask for a tenth. @throws AntequemError `fees-above-cap`
 */
export function raiseFees(highest: Fees, quote: Fees, caps: FeeCaps): Fees {
  const priorityFee = most(raised(highest.priorityFee), quote.priorityFee);
  const maxFee = most(raised(highest.maxFee), quote.maxFee);
  if (maxFee > caps.maxFee) throw aboveCap(`a replacement takes ${maxFee} wei`, caps.maxFee);
  if (priorityFee > caps.priorityFee)
    throw aboveCap(`a replacement takes a tip of ${priorityFee} wei`, caps.priorityFee);
  return { maxFee, priorityFee };
}

function aboveCap(what: string, cap: bigint): AntequemError {
  return new AntequemError('fees-above-cap', `${what}: more than the cap of ${cap}; waiting until fees fall`);
}

function raised(fee: bigint): bigint {
  return most(fee + 1n, (fee * 9n + 7n) / 8n);
}

function withRoom(cap: bigint): bigint {
  return (cap * 512n) / 729n;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** The least gas limit a transaction with this calldata is taken with (EIP-7623: 10 gas a token, bytes not zero are 4). */
function calldataFloor(data: string): bigint {
  const tokens = getBytes(data).reduce((sum, byte) => sum + (byte === 0 ? 1 : 4), 0);
  return 21_000n + 10n * BigInt(tokens);
}

/**
 * Gas that the call takes by our own measurement (`deploy.ts`), a quarter added. Whatever a node estimates, less is not
 * offered: what runs out of gas is paid for and anchors nothing.
 */
const LEAST_GAS = { anchor: 57_000n, announce: 29_100n } as const;

/** A quarter above what the node estimates: roots differ in their zero bytes, and rollups in what data costs them. */
export function gasLimit(estimate: bigint, data: string, mode: keyof typeof LEAST_GAS): bigint {
  return most(most(estimate + estimate / 4n, calldataFloor(data)), LEAST_GAS[mode]);
}
