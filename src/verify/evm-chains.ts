import type { EvmBlock, EvmSource } from '../core/evm-source.ts';

/** Chains that anyone starts anew under the same id (Hardhat, Anvil, Ganache, geth --dev). */
const DEVELOPMENT_CHAINS = new Set(['eip155:31337', 'eip155:1337']);

/** Whether a chain of this id can be another than the one a receipt was made on. */
export function isDevelopmentChain(chain: string): boolean {
  return DEVELOPMENT_CHAINS.has(chain);
}

/** The trusted sources by the chain each of them says it serves. */
export interface EvmSources {
  readonly byChain: ReadonlyMap<string, readonly EvmSource[]>;
  /** One sentence for each source that did not tell its chain. */
  readonly failures: readonly string[];
}

/** Asks every source for its chain. */
export async function sortSources(sources: readonly EvmSource[]): Promise<EvmSources> {
  const byChain = new Map<string, EvmSource[]>();
  const failures: string[] = [];
  await Promise.all(
    sources.map(async (source) => {
      try {
        const chain = await source.chainId();
        byChain.set(chain, [...(byChain.get(chain) ?? []), source]);
      } catch (error) {
        failures.push(failure(source, error));
      }
    }),
  );
  return { byChain, failures };
}

/** One sentence about a source that could not answer. */
export function failure(source: { describe(): string }, error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  return `${source.describe()} could not be asked (${why.slice(0, 200)})`;
}

/** A block as verdicts name it. */
export function nameBlock(chain: string, block: Pick<EvmBlock, 'number'>): string {
  return `block ${block.number} of ${chain}`;
}
