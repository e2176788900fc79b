import type { FinalBlock } from '../anchor/target.ts';
import { fromHex } from '../core/bytes.ts';
import { within } from '../core/time-limit.ts';
import type { Endpoints } from './endpoints.ts';
import type { EvmNode } from './node.ts';

/** When a block is final: by the chain's own tag, or so many blocks deep where it has none (1: the newest). */
export type Finality = { readonly by: 'tag' } | { readonly by: 'depth'; readonly blocks: number };

/** Height of the newest final block; null while there is none. */
export async function finalHeight(node: EvmNode, finality: Finality): Promise<number | null> {
  if (finality.by === 'tag') return (await node.block('finalized'))?.number ?? null;
  const latest = await node.block('latest');
  const height = latest === null ? -1 : latest.number + 1 - finality.blocks;
  return height < 0 ? null : height;
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
  const height = await finalHeight(node, finality);
  const block = height === null ? null : await node.block(height);
  return block === null ? null : { chain, height: block.number, hash: fromHex(block.hash.slice(2)), time: block.time };
}
