// EVM chains hash with Keccak-256 as it was before SHA-3 was standardised.
export { keccak_256 as keccak256 } from '@noble/hashes/sha3.js';
