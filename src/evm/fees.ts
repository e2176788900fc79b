// What to pay: by the node's proposals, within the operator's caps, and as the chain wants to be told (EIP-1559 or before).

import { getBytes } from 'ethers';
import { AntequemError } from '../core/errors.ts';
import { RpcRefusal } from './json-rpc.ts';
import type { EvmNode } from './node.ts';

/** Wei per gas. */
export interface Fees {
  readonly maxFee: bigint;
  readonly priorityFee: bigint;
  /** The chain takes one price per gas alone, from before EIP-1559; both fees are that price. */
  readonly legacy: boolean;
}

/** What a transaction of ours may cost at most, wei per gas. */
export interface FeeCaps {
  readonly maxFee: bigint;
  readonly priorityFee: bigint;
  /** Blocks of this chain take no transaction with a lower tip. Default 0. */
  readonly leastTip?: bigint;
}

const MAX_FEE_SETTING = 'EVM_MAX_FEE_GWEI';
const TIP_SETTING = 'EVM_MAX_PRIORITY_FEE_GWEI';
/** Where a node proposes nothing at all. */
const USUAL_TIP = 1_000_000_000n;

/**
 * EIP-1559 fees that stay good for a base fee twice that of the newest block, within the caps. Where the base fee leaves
 * it, they keep room below the caps for three replacements. On a chain without base fee: the price that the node proposes.
 * @throws AntequemError `fees-above-cap`, and what the node fails with
 */
export async function quoteFees(node: EvmNode, caps: FeeCaps): Promise<Fees> {
  const baseFee = await readBaseFee(node);
  if (baseFee === null) {
    const price = await node.gasPrice();
    if (price > caps.maxFee) throw aboveCap(`the gas price is ${price} wei`, caps.maxFee, MAX_FEE_SETTING);
    return { maxFee: price, priorityFee: price, legacy: true };
  }
  const { leastTip = 0n } = caps;
  if (leastTip > caps.priorityFee) {
    throw aboveCap(`the chain takes no tip below ${leastTip} wei`, caps.priorityFee, TIP_SETTING);
  }
  const proposed = await readTip(node, baseFee);
  const tip = most(leastTip, least(proposed, withRoom(caps.priorityFee)));
  if (baseFee + tip > caps.maxFee) {
    throw aboveCap(`the base fee is ${baseFee} wei and the tip ${tip}`, caps.maxFee, MAX_FEE_SETTING);
  }
  const room = withRoom(caps.maxFee);
  const maxFee = least(2n * baseFee + tip, baseFee + tip <= room ? room : caps.maxFee);
  return { maxFee, priorityFee: tip, legacy: false };
}

/** What the node proposes as a tip. Only a node that does not know the question is asked another one. */
async function readTip(node: EvmNode, baseFee: bigint): Promise<bigint> {
  try {
    return await node.priorityFee();
  } catch (error) {
    if (!isUnknownMethod(error)) throw error;
  }
  try {
    return most((await node.gasPrice()) - baseFee, 0n);
  } catch (error) {
    if (!isUnknownMethod(error)) throw error;
    return USUAL_TIP;
  }
}

function isUnknownMethod(error: unknown): boolean {
  return error instanceof RpcRefusal && error.methodUnknown;
}

/** Of the newest block, wei per gas; null on a chain without EIP-1559. */
export async function readBaseFee(node: EvmNode): Promise<bigint | null> {
  return (await node.block('latest'))?.baseFee ?? null;
}

/**
 * What outbids transactions with fees up to `highest`: both an eighth higher at least, and as much as one would offer
 * now. Nodes ask for a tenth. @throws AntequemError `fees-above-cap`
 */
export function raiseFees(highest: Omit<Fees, 'legacy'>, quote: Fees, caps: FeeCaps): Fees {
  const { legacy } = quote;
  const maxFee = most(raised(highest.maxFee), quote.maxFee);
  if (maxFee > caps.maxFee) throw aboveCap(`a replacement takes ${maxFee} wei`, caps.maxFee, MAX_FEE_SETTING);
  if (legacy) return { maxFee, priorityFee: maxFee, legacy };
  const priorityFee = most(raised(highest.priorityFee), quote.priorityFee);
  if (priorityFee > caps.priorityFee) {
    throw aboveCap(`a replacement takes a tip of ${priorityFee} wei`, caps.priorityFee, TIP_SETTING);
  }
  return { maxFee, priorityFee, legacy };
}

function aboveCap(what: string, cap: bigint, setting: string): AntequemError {
  const says = `${what}: more than the cap of ${cap}; waiting until fees fall, or ${setting} is raised`;
  return new AntequemError('fees-above-cap', says);
}

/** What may be meant where a node does not take a transaction because of its fees. */
export function feeHint(refusal: string): string {
  if (!/underpriced|\btip\b|gas ?price|fee.{0,20}(?:low|less|below|minimum)|(?:minimum|below).{0,40}fee/i.test(refusal))
    return '';
  return `; if the chain wants more than is offered, raise ${TIP_SETTING} and ${MAX_FEE_SETTING}`;
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
