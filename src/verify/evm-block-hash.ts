import type { ProvenAnchor } from '../core/evm-proof.ts';
import type { EvmAnchor } from '../core/receipt.ts';
import { type AnchorAnswer, momentOf } from './anchor-answer.ts';
import { claimOf } from './codes.ts';
import { nameBlock } from './evm-chains.ts';

/**
 * The claim `anchor` by the hash of a block that the verifier knows: the receipt proves the rest from there. Null where
 * none of the hashes is that of the anchor's block.
 * @param proven what the anchor's proof shows; null where it has none that holds
 */
export function checkByBlockHash(
  anchor: EvmAnchor,
  proven: ProvenAnchor | null,
  blockHashes: readonly string[],
): AnchorAnswer | null {
  if (anchor.status === 'submitted') return null;
  const { block, chain } = anchor;
  if (!blockHashes.some((hash) => hash.toLowerCase() === block.hash)) return null;
  const named = nameBlock(chain, block);
  if (proven === null) {
    const says = `The receipt bears no proof that leads from the hash of ${named} to the round's root.`;
    return { claim: claimOf('proof-missing', { claim: 'anchor', chain, grounds: 'none', says }), moment: null };
  }
  const { time } = proven.block;
  const whose = proven.chainSigned ? '' : `; that the block is one of ${chain}, its transaction does not say`;
  const says =
    `The block of the given hash, ${named}, holds the transaction that anchored the round's root: ` +
    `the digest was known before its time, ${time}${whose}.`;
  const claim = claimOf('anchor-proven', { claim: 'anchor', chain, time, grounds: 'block-hash', says });
  return { claim, moment: momentOf(chain, proven) };
}
