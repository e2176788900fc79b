import type { BitcoinBlock, HeaderSource } from '../core/bitcoin-source.ts';
import { AntequemError } from '../core/errors.ts';

/**
 * Several sources as one: it answers what all of them answer, and not at all while one of them does not.
 * A block is there once all have it, and the height is that of the one furthest behind. Beside what each throws,
 * `header` throws AntequemError `bitcoin-disagreement` where two have different blocks at a height.
 * @throws AntequemError `bitcoin-source-missing` without a source, `bitcoin-chain` where they are for different chains
 */
export function agreeing(sources: readonly HeaderSource[]): HeaderSource {
  const [first, ...others] = sources;
  if (first === undefined)
    throw new AntequemError('bitcoin-source-missing', 'no source of Bitcoin headers is configured');
  if (others.length === 0) return first;
  for (const other of others) {
    if (other.chain === first.chain) continue;
    const both = `${first.describe()} is for ${first.chain}, ${other.describe()} for ${other.chain}`;
    throw new AntequemError('bitcoin-chain', `the sources of Bitcoin headers are for different chains: ${both}`);
  }
  return {
    grounds: sources.some(({ grounds }) => grounds === 'bitcoin-node') ? 'bitcoin-node' : 'esplora',
    chain: first.chain,
    describe: () => sources.map((source) => source.describe()).join(' and '),
    async header(height) {
      const blocks = await Promise.all(sources.map((source) => source.header(height)));
      let agreed: BitcoinBlock | null = null;
      for (const [i, block] of blocks.entries()) {
        if (block === null) return null;
        if (agreed !== null && agreed.hash !== block.hash) {
          const both = `${first.describe()} has ${agreed.hash}, ${sources[i]?.describe()} has ${block.hash}`;
          throw new AntequemError('bitcoin-disagreement', `no agreement on block ${height}: ${both}`);
        }
        agreed ??= block;
      }
      return agreed;
    },
    height: async () => Math.min(...(await Promise.all(sources.map((source) => source.height())))),
  };
}
