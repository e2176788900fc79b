// What is known of chains beforehand. Settings go before it, and a chain that is not listed is served just as well.

export interface ChainHint {
  readonly name: string;
  /** Wei per gas: blocks take no transaction with a lower tip. */
  readonly leastTip?: bigint;
  /** Defaults in place of the usual ones, where coins are worth little. Wei per gas. */
  readonly caps?: { readonly maxFee: bigint; readonly priorityFee: bigint };
  /** Milliseconds after which the chain usually calls a block final; null: it never does, and needs EVM_CONFIRMATIONS. */
  readonly finalityMs?: number | null;
}

const GWEI = 1_000_000_000n;
const MINUTE_MS = 60_000;

// Polygon, PIP-35: validators take no tip below 25 gwei. Its coin costs a fraction of Ethereum's.
const POLYGON = { leastTip: 25n * GWEI, caps: { maxFee: 1_000n * GWEI, priorityFee: 100n * GWEI } };
// Blocks of rollups are final once the blocks of Ethereum that hold their data are: docs.optimism.io and docs.arbitrum.io
// on finality.
const ROLLUP = { finalityMs: 25 * MINUTE_MS };
// Two epochs of 32 slots of 12 s: ethereum.org on proof of stake.
const ETHEREUM = { finalityMs: 15 * MINUTE_MS };

/** By chain id. */
const HINTS: Readonly<Record<number, ChainHint>> = {
  1: { name: 'Ethereum', ...ETHEREUM },
  10: { name: 'OP Mainnet', ...ROLLUP },
  // BEP-126: within two blocks.
  56: { name: 'BNB Smart Chain', finalityMs: 10_000 },
  // Proof of work without EIP-1559 (core-geth's configuration of the chain): no block is ever `finalized`.
  61: { name: 'Ethereum Classic', finalityMs: null },
  // Two epochs of 16 slots of 5 s: docs.gnosischain.com.
  100: { name: 'Gnosis', finalityMs: 4 * MINUTE_MS },
  // PIP-11: milestones.
  137: { name: 'Polygon', ...POLYGON, finalityMs: 15_000 },
  8453: { name: 'Base', ...ROLLUP },
  42161: { name: 'Arbitrum One', ...ROLLUP },
  42170: { name: 'Arbitrum Nova', ...ROLLUP },
  // Accepted blocks are final: build.avax.network on the C-Chain's RPC.
  43114: { name: 'Avalanche', finalityMs: 5_000 },
  80002: { name: 'Polygon Amoy', ...POLYGON, finalityMs: 15_000 },
  84532: { name: 'Base Sepolia', ...ROLLUP },
  421614: { name: 'Arbitrum Sepolia', ...ROLLUP },
  560048: { name: 'Hoodi', ...ETHEREUM },
  11155111: { name: 'Sepolia', ...ETHEREUM },
  11155420: { name: 'OP Sepolia', ...ROLLUP },
};

/** Nothing but its id as its name where the chain is not listed. */
export function chainHint(chainId: number): ChainHint {
  return HINTS[chainId] ?? { name: `the chain ${chainId}` };
}
