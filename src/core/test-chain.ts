/** Chains on which anyone can make blocks, or that are made anew now and then, by their CAIP-2 ids. */
const TEST_CHAINS: ReadonlySet<string> = new Set([
  'eip155:80002', // Polygon Amoy
  'eip155:421614', // Arbitrum Sepolia
  'eip155:560048', // Hoodi
  'eip155:11155420', // OP Sepolia
  'eip155:11155111', // Sepolia
  'eip155:17000', // Holesky
  'eip155:84532', // Base Sepolia
  'eip155:31337', // local chain
  'eip155:1337', // local chain
  'bip122:000000000933ea01ad0ee984209779ba', // Bitcoin testnet
  'bip122:0f9188f13cb7b2c71f2a335e3a4fc328', // Bitcoin regtest
]);

/** Whether the chain is for tests, so that its blocks prove nothing to others. */
export function isTestChain(chain: string): boolean {
  return TEST_CHAINS.has(chain);
}
