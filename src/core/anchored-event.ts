// What contracts/Anchor.sol is told and what it says (design section 5).

import type { EvmLog } from './evm-source.ts';

/** Topic 0 of `Anchored(address indexed sender, bytes32 indexed root)`. */
export const ANCHORED_TOPIC = '0xee1610244dfc4b116b1433dd4459fd7b1d3d2bf737a05fc3f6d8f173005d7147';

/** Selectors of `anchor(bytes32)` and `announce(bytes32)`. */
export const ANCHORING_SELECTORS: readonly string[] = ['0xeecdf927', '0x6056969b'];

/** Whether the contract says by this log that the root was anchored. Root: 64 hex digits. */
export function isAnchored({ address, topics, data }: EvmLog, contract: string, root: string): boolean {
  return (
    address.toLowerCase() === contract &&
    topics.length === 3 &&
    topics[0] === ANCHORED_TOPIC &&
    topics[2] === `0x${root}` &&
    data === '0x'
  );
}
