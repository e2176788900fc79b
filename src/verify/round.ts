import { fromHex } from '../core/bytes.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import { hashLeaf } from '../core/merkle.ts';
import { logId } from '../core/origin.ts';
import { verifyInclusion } from '../core/proof.ts';
import { decodeHashes, parseBlockHash, type Receipt, type RoundReceipt } from '../core/receipt.ts';
import { encodeCheckpointLeaf, encodeLink } from '../core/round.ts';
import { parseTime } from '../core/time.ts';
import { type Claim, claimOf } from '../core/verdict.ts';

/**
 * Whether the checkpoint is in the round, and number, close, predecessor and beacons are in its link.
 * `round.size` counts only by the shape of the two paths: the root of a tree does not tell its size.
 */
export function checkRound(receipt: Receipt, head: Checkpoint | null): Claim {
  if (!('round' in receipt)) {
    return claimOf('round-pending', {
      claim: 'round',
      grounds: 'none',
      says: 'The receipt was made before the round of its entry closed; get a newer one.',
    });
  }
  const { round } = receipt;
  const root = fromHex(round.root);
  const own =
    head !== null &&
    verifyInclusion(
      hashLeaf(encodeCheckpointLeaf({ logId: logId(head.origin), size: head.size, root: head.root })),
      round.index,
      round.size,
      decodeHashes(round.path),
      root,
    );
  if (!own) {
    return claimOf('round-broken', {
      claim: 'round',
      grounds: 'bytes',
      says: `The proof in the receipt does not lead from the checkpoint to the root of round ${round.number}.`,
    });
  }
  if (!linkHolds(round)) {
    return claimOf('link-broken', {
      claim: 'round',
      grounds: 'bytes',
      says: 'Number, time of close, predecessor or beacons of the round are not those that its root was made from.',
    });
  }
  return claimOf('round-holds', {
    claim: 'round',
    grounds: 'bytes',
    says: `The checkpoint is in the root of round ${round.number}, which by the operator's clock closed at ${round.closedAt}.`,
  });
}

/** Whether number, close, predecessor and beacons of a round are in its root. */
export function linkHolds(round: RoundReceipt['round']): boolean {
  const path = decodeHashes(round.link.path);
  return verifyInclusion(hashLeaf(linkLeaf(round)), 0, round.size, path, fromHex(round.root));
}

function linkLeaf({ number, closedAt, link }: RoundReceipt['round']): Uint8Array {
  return encodeLink({
    number,
    closedAt: parseTime(closedAt),
    previousRoot: fromHex(link.previousRoot),
    beacons: link.beacons.map(({ chain, height, hash }) => ({ chain, height, hash: parseBlockHash(hash) })),
  });
}
