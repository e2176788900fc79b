// The calls and events of contracts/Anchor.sol (design section 5).

import { fromHex } from './bytes.ts';
import type { EvmLog } from './evm-source.ts';

/** Topic 0 of `Anchored(address indexed sender, bytes32 indexed root)`. */
export const ANCHORED_TOPIC = '0xee1610244dfc4b116b1433dd4459fd7b1d3d2bf737a05fc3f6d8f173005d7147';

/** Selectors of `anchor(bytes32)` and `announce(bytes32)`. */
export const ANCHORING_SELECTORS: readonly string[] = ['0xeecdf927', '0x6056969b'];

/** Whether this log of the contract says that the root was anchored. @param root 64 hex digits */
export function isAnchored({ address, topics, data }: EvmLog, contract: string, root: string): boolean {
  return (
    address.toLowerCase() === contract &&
    topics.length === 3 &&
    topics[0] === ANCHORED_TOPIC &&
    topics[2] === `0x${root}` &&
    data === '0x'
  );
}

export interface AnchoredEvent {
  /** Direct caller of the contract: 0x and 40 lower-case hex digits. */
  readonly sender: string;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/**
 * The event in a log of a transaction; null if it is not exactly an `Anchored`. The caller checks the address of the log.
 */
export function decodeAnchoredLog({
  topics: [topic, sender, root, ...rest],
  data,
}: Omit<EvmLog, 'address'>): AnchoredEvent | null {
  if (topic?.toLowerCase() !== ANCHORED_TOPIC || data !== '0x' || rest.length > 0) return null;
  if (sender === undefined || !/^0x0{24}[0-9a-f]{40}$/i.test(sender)) return null;
  if (root === undefined || !/^0x[0-9a-f]{64}$/i.test(root)) return null;
  return { sender: `0x${sender.slice(26).toLowerCase()}`, root: fromHex(root.slice(2).toLowerCase()) };
}
