// The progress of an entry, by its receipt.

import { isFinalAnchor, knownAnchors, type Receipt } from '../../core/receipt.ts';

/** The stages to wait for, in order. */
export type Stage = 'round' | 'included' | 'finalized' | 'bitcoin';

export interface StagesReached {
  readonly round: boolean;
  readonly included: boolean;
  readonly finalized: boolean;
}

export function reachedBy(receipt: Receipt): StagesReached {
  if (!('round' in receipt)) return { round: false, included: false, finalized: false };
  // A token is final at once, and in no block.
  const anchors = knownAnchors(receipt).filter(({ type }) => type !== 'rfc3161');
  const finalized = anchors.some(isFinalAnchor);
  return { round: true, included: finalized || anchors.some(({ status }) => status === 'included'), finalized };
}

/** The next stage to wait for; null if the receipt is complete. */
export function nextStage(receipt: Receipt): Stage | null {
  const reached = reachedBy(receipt);
  if (!reached.round) return 'round';
  if (!reached.included) return 'included';
  if (!reached.finalized) return 'finalized';
  const open = knownAnchors(receipt).some((anchor) => anchor.type === 'opentimestamps' && !isFinalAnchor(anchor));
  return open ? 'bitcoin' : null;
}
