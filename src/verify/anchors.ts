// The claims about the anchors of a receipt, each by the verifier of its kind.

import { type AnchorFinding, type AnchorVerifier, type TrustedSources, unproven } from '../core/anchor-verifier.ts';
import { excerpt } from '../core/bytes.ts';
import { type Anchor, type AnchorOf, isKnownAnchor, type ReceiptAnchor } from '../core/receipt.ts';
import type { UnknownAnchor } from '../core/receipt-schema.ts';
import { type Claim, claimOf } from '../core/verdict.ts';
import { evmVerifier } from '../evm/verifier.ts';
import { otsVerifier } from '../ots/verifier.ts';
import { tsaVerifier } from '../tsa/verifier.ts';

const VERIFIERS: { readonly [T in Anchor['type']]: AnchorVerifier<AnchorOf[T]> } = {
  evm: evmVerifier,
  opentimestamps: otsVerifier,
  rfc3161: tsaVerifier,
};

/** Claims of a verdict that anchors with several claims share; the others, and one for each other anchor, fit beside. */
const SHARED_CLAIMS = 40;

/** An anchor of a type that this version does not know neither proves nor refutes. */
export function unknownAnchor({ type }: UnknownAnchor): Claim {
  const says = `The anchor of type ${excerpt(type)} was not checked: this version does not know that type, a newer one may.`;
  return claimOf('anchor-unknown', { claim: 'anchor', grounds: 'none', says });
}

/** Findings in the receipt's order; one unverified claim where it has no anchor yet. @param root of the round, hex */
export async function verifyAnchors(
  anchors: readonly ReceiptAnchor[],
  root: string,
  trusted: TrustedSources,
): Promise<AnchorFinding[]> {
  if (anchors.length === 0) {
    const says = 'The receipt has no anchor yet, so it names no block of any chain: get a newer receipt later.';
    return [unproven(claimOf('no-anchor', { claim: 'anchor', grounds: 'none', says }))];
  }
  const sharing = anchors.filter(
    (anchor) => isKnownAnchor(anchor) && VERIFIERS[anchor.type].claims === 'several',
  ).length;
  const most = Math.floor(SHARED_CLAIMS / Math.max(1, sharing));
  const check = <T extends Anchor['type']>(type: T, anchor: AnchorOf[T]): Promise<readonly AnchorFinding[]> =>
    VERIFIERS[type].check(anchor, root, trusted, most);
  const findings = await Promise.all(
    anchors.map((anchor) => (isKnownAnchor(anchor) ? check(anchor.type, anchor) : [unproven(unknownAnchor(anchor))])),
  );
  return findings.flat();
}
