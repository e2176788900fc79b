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
