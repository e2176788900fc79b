// The verifier as applications import it: the verifier itself, and sources of trust that are asked over HTTP by fetch.

export { openEsplora } from './bitcoin/esplora.ts';
export { rpcSource } from './evm/rpc-source.ts';
export * from './verify/verify.ts';
