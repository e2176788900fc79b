import type { FinalBlock } from '../anchor/target.ts';
import { fromHex } from '../core/bytes.ts';
import { hasCode, messageOf } from '../core/errors.ts';
import { within } from '../core/time-limit.ts';
import type { Endpoints } from './endpoints.ts';
import type { EvmNode } from './node.ts';

/** When a block is final: by the chain's own tag, or so many blocks deep where it has none (1: the newest). */
export type Finality = { readonly by: 'tag' } | { readonly by: 'depth'; readonly blocks: number };

/** The newest final block. */
export interface FinalHeight {
  /** Null where there is none, or the node does not tell. */
  readonly height: number | null;
  /** Why the node names no final block, and what to set; null: it names one. */
  readonly problem: string | null;
}

const SETTING =
  'set EVM_CONFIRMATIONS (confirmations in TARGETS_FILE) to the depth at which you take a block for final';

/**
 * A chain without the tag is no failure: anchors are then included, and never final by themselves.
 * @throws AntequemError where the node does not answer
 */
export async function finalHeight(node: EvmNode, finality: Finality): Promise<FinalHeight> {
  if (finality.by === 'tag') {
    try {
      const height = (await node.block('finalized'))?.number ?? null;
      // Some nodes answer so for ever, and every chain does while it is young.
      const none = height === null ? 'names no final block' : height === 0 ? 'calls nothing but block 0 final' : null;
      return { height, problem: none === null ? null : `${node.name} ${none}: if that stays so, ${SETTING}` };
    } catch (error) {
      if (!hasCode(error, 'rpc-refused')) throw error;
      const problem = `${node.name} does not tell which block is final (${messageOf(error)}): ${SETTING}`;
      return { height: null, problem };
    }
  }
  const latest = await node.block('latest');
  const height = latest === null ? -1 : latest.number + 1 - finality.blocks;
  return { height: height < 0 ? null : height, problem: null };
}

const LIMIT_MS = 2_000;

/** The newest final block, as a round may name it; null where the chain does not tell within two seconds. */
export async function newestFinalBlock(
  endpoints: Endpoints,
  chain: string,
  finality: Finality,
): Promise<FinalBlock | null> {
  // A round is not held up by what is known to hang; others ask whether it still does.
  if (!endpoints.answering) return null;
  const block = readFinalBlock(endpoints, chain, finality).catch(() => null);
  return within(LIMIT_MS, block, () => null);
}

async function readFinalBlock(endpoints: Endpoints, chain: string, finality: Finality): Promise<FinalBlock | null> {
  const node = await endpoints.use();
  const { height } = await finalHeight(node, finality);
  const block = height === null ? null : await node.block(height);
  return block === null ? null : { chain, height: block.number, hash: fromHex(block.hash.slice(2)), time: block.time };
}
