import type { ProvenAnchor } from '../core/evm-proof.ts';
import type { Claim, Moment } from '../core/verdict.ts';

/** What became of one anchor. */
export interface AnchorAnswer {
  readonly claim: Claim;
  /** The block that proves, if it does. */
  readonly moment: Moment | null;
}

export const unproven = (claim: Claim): AnchorAnswer => ({ claim, moment: null });

/** The block of a proof as a verdict names it, every value from under its hash. */
export function momentOf(chain: string, { block }: ProvenAnchor): Moment {
  return { time: block.time, chain, block: { number: block.number, hash: block.hash } };
}
