import type { BitcoinBlock, HeaderSource } from '../core/bitcoin-source.ts';

/** Blocks, itself included, that a block must have upon it to be held for final. */
const CONFIRMATIONS = 6;

/** The source as of one verdict: each question is asked once, so the verdict does not contradict itself. */
export function remembering(source: HeaderSource): HeaderSource {
  const headers = new Map<number, Promise<BitcoinBlock | null>>();
  let newest: Promise<number> | null = null;
  return {
    grounds: source.grounds,
    chain: source.chain,
    describe: () => source.describe(),
    header(height) {
      const known = headers.get(height) ?? source.header(height);
      headers.set(height, known);
      return known;
    },
    height() {
      newest ??= source.height();
      return newest;
    },
  };
}

/** Whether the block at this height has enough upon it. */
export async function isDeep(source: HeaderSource, height: number): Promise<boolean> {
  return (await source.height()) - height + 1 >= CONFIRMATIONS;
}
