// The claims about the anchors of a receipt, each by the verifier of its kind.

import { type AnchorFinding, type AnchorVerifier, type TrustedSources, unproven } from '../core/anchor-verifier.ts';
import type { Anchor, AnchorOf, RoundReceipt } from '../core/receipt.ts';
import { claimOf } from '../core/verdict.ts';
import { evmVerifier } from '../evm/verifier.ts';
import { otsVerifier } from '../ots/verifier.ts';

const VERIFIERS: { readonly [T in Anchor['type']]: AnchorVerifier<AnchorOf[T]> } = {
  evm: evmVerifier,
  opentimestamps: otsVerifier,
};

/** Claims of a verdict that anchors with several claims share; the others, and one for each other anchor, fit beside. */
const SHARED_CLAIMS = 40;

/** Findings in the receipt's order; one unverified claim where it has no anchor yet. */
export async function checkAnchors(
  { anchors, round }: RoundReceipt,
  trusted: TrustedSources,
): Promise<AnchorFinding[]> {
  if (anchors.length === 0) {
    const says = 'The receipt has no anchor yet: it names no block of any chain.';
    return [unproven(claimOf('no-anchor', { claim: 'anchor', grounds: 'none', says }))];
  }
  const sharing = anchors.filter(({ type }) => VERIFIERS[type].claims === 'several').length;
  const most = Math.floor(SHARED_CLAIMS / Math.max(1, sharing));
  const check = <T extends Anchor['type']>(type: T, anchor: AnchorOf[T]): Promise<readonly AnchorFinding[]> =>
    VERIFIERS[type].check(anchor, round.root, trusted, most);
  const findings = await Promise.all(anchors.map((anchor) => check(anchor.type, anchor)));
  return findings.flat();
}
