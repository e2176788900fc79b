import { BITCOIN, type BitcoinHeader } from '../core/bitcoin-header.ts';
import { formatTime } from '../core/time.ts';
import type { AnchorAnswer } from './anchor-answer.ts';
import { claimOf } from './codes.ts';
import { nameBlock } from './evm-chains.ts';

/** A block that a receipt carries: the header is what counts, chain and height are the receipt's word. */
export interface CarriedBlock {
  readonly chain: string;
  readonly height: number;
  readonly header: BitcoinHeader;
}

/** What every block of Bitcoin had to work for, from the first on: a target below 2^224. */
const LEAST_WORK = /^0{8}/;

/**
 * The claim `anchor` by the hash of a block that the verifier knows. Null where none of the hashes is that of the
 * carried header, to whose merkle root the timestamp leads.
 */
export function checkByHeaderHash(carried: CarriedBlock, blockHashes: readonly string[]): AnchorAnswer | null {
  const { chain, height, header } = carried;
  if (!blockHashes.some((hash) => hash.toLowerCase() === header.hash)) return null;
  const named = nameBlock(chain, { number: height });
  if (chain === BITCOIN && !LEAST_WORK.test(header.hash)) {
    const says = `The block of the given hash is from a test network: no block of ${chain} had so little work.`;
    return {
      claim: claimOf('other-chain-instance', { claim: 'anchor', chain, grounds: 'block-hash', says }),
      moment: null,
    };
  }
  const time = formatTime(header.time);
  const says =
    `The timestamp leads to the merkle root of the block of the given hash, by the receipt ${named}: the digest was ` +
    `known before its time, ${time}, which is good to about two hours; its header does not say chain and height.`;
  return {
    claim: claimOf('anchor-proven', { claim: 'anchor', chain, time, grounds: 'block-hash', says }),
    moment: { time, chain, block: { number: height, hash: header.hash } },
  };
}
