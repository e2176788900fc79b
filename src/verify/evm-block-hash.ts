import type { EvmAnchor } from '../core/receipt.ts';
import type { Claim } from '../core/verdict.ts';
import { claimOf } from './codes.ts';

/**
 * The claim `anchor` by a block hash that the verifier was given: the receipt must then prove from the block's header
 * that its transaction emitted the event. Null where none of the hashes is that of the anchor's block.
 */
export function checkByBlockHash(anchor: EvmAnchor, blockHashes: readonly string[]): Claim | null {
  if (anchor.status === 'submitted') return null;
  const { block, chain, proof } = anchor;
  if (!blockHashes.some((hash) => hash.toLowerCase() === block.hash)) return null;
  const unverified = { claim: 'anchor', chain, grounds: 'none' } as const;
  return proof === undefined
    ? claimOf('proof-missing', {
        ...unverified,
        says: `The receipt bears no proof that leads from block ${block.number} of ${chain} to the round's root.`,
      })
    : claimOf('proof-not-read', {
        ...unverified,
        says: `The receipt's proof from block ${block.number} of ${chain} was not checked: this version reads none.`,
      });
}
