// What is known of chains beforehand. Settings go before it, and a chain that is not listed is served just as well.

export interface ChainHint {
  readonly name: string;
  /** Wei per gas: blocks take no transaction with a lower tip. */
  readonly leastTip?: bigint;
  /** Defaults in place of the usual ones, where coins are worth little. Wei per gas. */
  readonly caps?: { readonly maxFee: bigint; readonly priorityFee: bigint };
  /** Milliseconds after which the chain usually calls a block final; null: it never does, and needs EVM_CONFIRMATIONS. */
  readonly finalityMs?: number | null;
  /** Where that is from. */
  readonly source?: string;
}

const GWEI = 1_000_000_000n;
const MINUTE_MS = 60_000;

const POLYGON = {
  leastTip: 25n * GWEI,
  // The coin costs a fraction of Ethereum's.
  caps: { maxFee: 1_000n * GWEI, priorityFee: 100n * GWEI },
  finalityMs: 15_000,
  source: 'PIP-35 (least tip), PIP-11 (milestones)',
};
// Blocks are final once the blocks of Ethereum that hold their data are.
const OP_STACK = { finalityMs: 25 * MINUTE_MS, source: 'docs.optimism.io, transaction finality' };
const ARBITRUM = { finalityMs: 25 * MINUTE_MS, source: 'docs.arbitrum.io, transaction lifecycle' };
const ETHEREUM = { finalityMs: 15 * MINUTE_MS, source: 'ethereum.org, proof of stake: two epochs of 32 slots of 12 s' };

/** By chain id. */
const HINTS: Readonly<Record<number, ChainHint>> = {
  1: { name: 'Ethereum', ...ETHEREUM },
  10: { name: 'OP Mainnet', ...OP_STACK },
  56: { name: 'BNB Smart Chain', finalityMs: 10_000, source: 'BEP-126: two blocks' },
  61: { name: 'Ethereum Classic', finalityMs: null, source: 'core-geth: proof of work, no `finalized`' },
  100: { name: 'Gnosis', finalityMs: 4 * MINUTE_MS, source: 'docs.gnosischain.com: two epochs of 16 slots of 5 s' },
  137: { name: 'Polygon', ...POLYGON },
  8453: { name: 'Base', ...OP_STACK },
  42161: { name: 'Arbitrum One', ...ARBITRUM },
  42170: { name: 'Arbitrum Nova', ...ARBITRUM },
  42220: { name: 'Celo', ...OP_STACK },
  43114: { name: 'Avalanche', finalityMs: 5_000, source: 'build.avax.network: accepted blocks are final' },
  80002: { name: 'Polygon Amoy', ...POLYGON },
  84532: { name: 'Base Sepolia', ...OP_STACK },
  421614: { name: 'Arbitrum Sepolia', ...ARBITRUM },
  560048: { name: 'Hoodi', ...ETHEREUM },
  11155111: { name: 'Sepolia', ...ETHEREUM },
  11155420: { name: 'OP Sepolia', ...OP_STACK },
};

export const HINTED_CHAINS: readonly number[] = Object.keys(HINTS).map(Number);

/** Nothing but its id as its name where the chain is not listed. */
export function chainHint(chainId: number): ChainHint {
  return HINTS[chainId] ?? { name: `the chain ${chainId}` };
}
