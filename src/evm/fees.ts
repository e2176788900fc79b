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
 * EIP-1559 fees that stay good for a base fee twice that of the newest block, within the caps.
 * @throws AntequemError `fees-above-cap`, `fees-unsupported`
 */
export async function quoteFees(node: EvmNode, caps: FeeCaps): Promise<Fees> {
  const [latest, proposed] = await Promise.all([
    node.block('latest'),
    // Not every node has an opinion on tips.
    node.priorityFee().catch(() => 1_000_000_000n),
  ]);
  const baseFee = latest?.baseFee ?? null;
  if (baseFee === null) throw new AntequemError('fees-unsupported', `${node.name}: a chain without EIP-1559 fees`);
  const tip = proposed < caps.priorityFee ? proposed : caps.priorityFee;
  if (baseFee + tip > caps.maxFee) {
    throw new AntequemError(
      'fees-above-cap',
      `the base fee is ${baseFee} wei and the tip ${tip}: more than the cap of ${caps.maxFee}; waiting until it falls`,
    );
  }
  const maxFee = 2n * baseFee + tip;
  return { maxFee: maxFee < caps.maxFee ? maxFee : caps.maxFee, priorityFee: tip };
}

/** The least gas limit a transaction with this calldata is taken with (EIP-7623: 10 gas a token, bytes not zero are 4). */
export function calldataFloor(data: string): bigint {
  const tokens = getBytes(data).reduce((sum, byte) => sum + (byte === 0 ? 1 : 4), 0);
  return 21_000n + 10n * BigInt(tokens);
}

/** A quarter above what the node estimates: roots differ in their zero bytes, and rollups in what data costs them. */
export function gasLimit(estimate: bigint, data: string): bigint {
  const floor = calldataFloor(data);
  const roomy = estimate + estimate / 4n;
  return roomy > floor ? roomy : floor;
}
