import { createRequire } from 'node:module';
import { defineConfig } from 'hardhat/config';

const require = createRequire(import.meta.url);

/** Every setting below is part of the contract's bytes and so of its address: change one and the address changes. */
export default defineConfig({
  solidity: {
    version: '0.8.37',
    // The compiler comes by npm: Hardhat would download another.
    path: require.resolve('solc/soljson.js'),
    settings: {
      evmVersion: 'paris',
      optimizer: { enabled: true, runs: 200 },
      viaIR: true,
      metadata: { bytecodeHash: 'none' },
    },
  },
  networks: {
    default: { type: 'edr-simulated', chainType: 'l1', hardfork: 'osaka' },
  },
  paths: {
    sources: 'contracts',
    tests: { solidity: 'test/contracts' },
  },
  test: {
    solidity: { fuzz: { runs: 1024, seed: '0x616e74657175656d' } },
  },
});
