// Which transaction of an account has a nonce: JSON-RPC has no question for that, but it counts transactions at any height.

import { AntequemError } from '../core/errors.ts';
import type { EvmNode } from './node.ts';

/** A transaction in a canonical block. */
export interface MinedTransaction {
  /** 0x-hex. */
  readonly hash: string;
  readonly block: number;
}

/** Doublings of the distance from the newest block: enough for any chain. */
const MAX_DOUBLINGS = 48;

/**
 * The transaction of the account that has this nonce; null where no block holds it, or where the node keeps no state old
 * enough to find it by.
 * @throws AntequemError where the node does not answer
 */
export async function findByNonce(node: EvmNode, address: string, nonce: number): Promise<MinedTransaction | null> {
  const height = await firstHeightPast(node, address, nonce);
  const block = height === null ? null : await node.transactionsAt(height);
  if (block === null) return null;
  const found = block.transactions.find((each) => each.from === address && each.nonce === nonce);
  return found === undefined ? null : { hash: found.hash, block: block.number };
}

/** The height at which the account has sent more than `nonce` transactions for the first time; null: not known. */
async function firstHeightPast(node: EvmNode, address: string, nonce: number): Promise<number | null> {
  const latest = await node.block('latest');
  if (latest === null) return null;
  const isPast = async (height: number): Promise<boolean> => (await node.transactionCount(address, height)) > nonce;
  try {
    if (!(await isPast(latest.number))) return null;
    let past = latest.number;
    let before = -1;
    for (let i = 0; i < MAX_DOUBLINGS; i++) {
      const height = latest.number - 2 ** i;
      if (height < 0) break;
      if (!(await isPast(height))) {
        before = height;
        break;
      }
      past = height;
    }
    while (past - before > 1) {
      const middle = Math.floor((past + before) / 2);
      if (await isPast(middle)) past = middle;
      else before = middle;
    }
    return past;
  } catch (error) {
    // A node forgets the state of old blocks, some of it soon.
    if (error instanceof AntequemError && error.code === 'rpc-refused') return null;
    throw error;
  }
}
