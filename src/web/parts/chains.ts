// The chains that people know by a name, and where they can look a block up: explorers that the registry of chains
// (github.com/ethereum-lists/chains) names, and instances of Blockscout (chains.blockscout.com).

interface KnownChain {
  readonly name: string;
  /** Addresses of pages about a block, of operators independent of each other; the block's number is appended. */
  readonly explorers: readonly string[];
}

const CHAINS: Readonly<Record<string, KnownChain>> = {
  'eip155:1': {
    name: 'Ethereum',
    explorers: ['https://etherscan.io/block/', 'https://eth.blockscout.com/block/'],
  },
  'eip155:10': {
    name: 'OP Mainnet',
    explorers: ['https://optimistic.etherscan.io/block/', 'https://explorer.optimism.io/block/'],
  },
  'eip155:56': { name: 'BNB Smart Chain', explorers: ['https://bscscan.com/block/'] },
  'eip155:61': { name: 'Ethereum Classic', explorers: ['https://etc.blockscout.com/block/'] },
  'eip155:100': {
    name: 'Gnosis',
    explorers: ['https://gnosisscan.io/block/', 'https://gnosis.blockscout.com/block/'],
  },
  'eip155:137': {
    name: 'Polygon',
    explorers: ['https://polygonscan.com/block/', 'https://polygon.blockscout.com/block/'],
  },
  'eip155:8453': {
    name: 'Base',
    explorers: ['https://basescan.org/block/', 'https://base.blockscout.com/block/'],
  },
  'eip155:42161': {
    name: 'Arbitrum One',
    explorers: ['https://arbiscan.io/block/', 'https://arbitrum.blockscout.com/block/'],
  },
  'eip155:42170': {
    name: 'Arbitrum Nova',
    explorers: ['https://nova-explorer.arbitrum.io/block/', 'https://nova.dex.guru/block/'],
  },
  'eip155:42220': { name: 'Celo', explorers: ['https://celo.blockscout.com/block/'] },
  'eip155:43114': { name: 'Avalanche', explorers: ['https://snowtrace.io/block/'] },
  'eip155:80002': { name: 'Polygon Amoy', explorers: ['https://amoy.polygonscan.com/block/'] },
  'eip155:421614': {
    name: 'Arbitrum Sepolia',
    explorers: ['https://sepolia.arbiscan.io/block/', 'https://sepolia-explorer.arbitrum.io/block/'],
  },
  'eip155:560048': { name: 'Hoodi', explorers: ['https://dora.hoodi.ethpandaops.io/block/'] },
  'eip155:11155420': {
    name: 'OP Sepolia',
    explorers: ['https://sepolia-optimism.etherscan.io/block/', 'https://optimism-sepolia.blockscout.com/block/'],
  },
  'eip155:11155111': {
    name: 'Sepolia',
    explorers: ['https://sepolia.etherscan.io/block/', 'https://eth-sepolia.blockscout.com/block/'],
  },
  'eip155:17000': { name: 'Holesky', explorers: ['https://holesky.etherscan.io/block/'] },
  'eip155:84532': { name: 'Base Sepolia', explorers: ['https://sepolia.basescan.org/block/'] },
  'eip155:31337': { name: 'local chain', explorers: [] },
  'eip155:1337': { name: 'local chain', explorers: [] },
  'bip122:000000000019d6689c085ae165831e93': {
    name: 'Bitcoin',
    explorers: ['https://mempool.space/block/', 'https://blockstream.info/block-height/'],
  },
  'bip122:000000000933ea01ad0ee984209779ba': {
    name: 'Bitcoin testnet',
    explorers: ['https://mempool.space/testnet/block/', 'https://blockstream.info/testnet/block-height/'],
  },
  'bip122:0f9188f13cb7b2c71f2a335e3a4fc328': { name: 'Bitcoin regtest', explorers: [] },
};

/** The well-known name of a chain, otherwise its id. */
export function chainName(chain: string): string {
  return CHAINS[chain]?.name ?? chain;
}

/** Pages that show the block at this height; none for a chain that is not known. */
export function explorersOf(chain: string, height: number): string[] {
  return (CHAINS[chain]?.explorers ?? []).map((address) => `${address}${height}`);
}

/** A sentence of a verdict with the names of chains in place of their ids. */
export function withChainNames(says: string): string {
  return says.replaceAll(/\b(?:eip155:\d+|bip122:[0-9a-f]{32})\b/g, chainName);
}
