// How an older receipt is brought up to date by a newer one of the same entry.

import { equalBytes } from './bytes.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { AntequemError, FormatError, parsed } from './errors.ts';
import { sameJson } from './json.ts';
import { parseNote } from './note.ts';
import { verifyConsistency, verifyInclusion } from './proof.ts';
import { decodeHashes, receiptLeafHash } from './receipt.ts';
import {
  type Anchor,
  type AnchorOf,
  isKnownAnchor,
  MAX_ANCHORS,
  type Receipt,
  type ReceiptAnchor,
  type RoundReceipt,
} from './receipt-schema.ts';

/** The result of an upgrade. */
export interface MergedReceipt {
  readonly receipt: Receipt;
  /** One sentence when the two receipts contradict each other: then `receipt` is the older one, unchanged. */
  readonly equivocation: string | null;
}

/**
 * Brings `old` up to date by a receipt of the same entry fetched later. Inclusion, checkpoint and round are
 * replaced only if the two checkpoints are the same or `consistency` proves that the larger continues the smaller (RFC 9162).
 * Otherwise keep both files: together they show that the log was forked.
 * @throws AntequemError `receipt-other-entry` when they are about different entries
 * @throws FormatError `receipt-broken` when one of them contradicts itself, which shows nothing about the log
 */
export function mergeReceipt(
  old: Receipt,
  fresh: Receipt,
  consistency: { readonly path: readonly string[] } | null,
): MergedReceipt {
  const { entry } = old;
  if (entry.log !== fresh.entry.log || entry.index !== fresh.entry.index) {
    throw new AntequemError(
      'receipt-other-entry',
      `entry ${fresh.entry.index} of ${fresh.entry.log} cannot upgrade a receipt of entry ${entry.index} of ${entry.log}`,
    );
  }
  const where = `${entry.log} showed`;
  const before = head(old);
  const after = head(fresh);
  if (!equalBytes(receiptLeafHash(old), receiptLeafHash(fresh))) {
    return { receipt: old, equivocation: `${where} two different entries at index ${entry.index}.` };
  }
  const [smaller, larger] = before.size <= after.size ? [before, after] : [after, before];
  const path = smaller.size === larger.size ? [] : consistency?.path;
  if (path === undefined || !consistent(smaller, larger, path)) {
    const why = path === undefined ? 'with no proof' : 'without a proof that holds';
    return {
      receipt: old,
      equivocation: `${where} trees of ${smaller.size} and ${larger.size} entries ${why} that one continues the other.`,
    };
  }
  return mergeRounds(old, fresh);
}

interface Head {
  readonly size: number;
  readonly root: Uint8Array;
}

function head(receipt: Receipt): Head {
  const { entry, inclusion } = receipt;
  const { origin, size, root } = parseCheckpoint(parseNote(receipt.checkpoint).text);
  const leaf = receiptLeafHash(receipt);
  const holds = verifyInclusion(leaf, entry.index, inclusion.treeSize, decodeHashes(inclusion.path), root);
  if (origin !== entry.log || size !== inclusion.treeSize || !holds) {
    throw new FormatError('receipt-broken', `entry ${entry.index} does not stand in the receipt's checkpoint`);
  }
  return { size, root };
}

function consistent(smaller: Head, larger: Head, path: readonly string[]): boolean {
  const hashes = parsed(() => decodeHashes(path));
  return hashes !== null && verifyConsistency(smaller.size, larger.size, hashes, smaller.root, larger.root);
}

function mergeRounds(old: Receipt, fresh: Receipt): MergedReceipt {
  if (!('round' in old)) return { receipt: { ...fresh, entry: old.entry }, equivocation: null };
  // A service whose database was set back knows less than the receipt.
  if (!('round' in fresh)) return { receipt: old, equivocation: null };
  if (old.round.number !== fresh.round.number || old.round.root !== fresh.round.root) {
    return {
      receipt: old,
      equivocation:
        `${old.entry.log} showed its entry ${old.entry.index} in round ${old.round.number} with root ` +
        `${old.round.root} and in round ${fresh.round.number} with root ${fresh.round.root}.`,
    };
  }
  const { storedPath = old.storedPath } = fresh;
  const receipt = { ...fresh, entry: old.entry, anchors: mergeAnchors(old, fresh) };
  return { receipt: storedPath === undefined ? receipt : { ...receipt, storedPath }, equivocation: null };
}

/**
 * The fresh anchors, then those of the older receipt for places that the fresh one lacks, then anchors of unknown types that
 * the fresh one lacks.
 */
function mergeAnchors(old: RoundReceipt, fresh: RoundReceipt): ReceiptAnchor[] {
  const earlier = new Map(old.anchors.filter(isKnownAnchor).map((anchor) => [placeOf(anchor), anchor]));
  const merged = fresh.anchors.map((anchor): ReceiptAnchor => {
    if (!isKnownAnchor(anchor)) return anchor;
    const before = earlier.get(placeOf(anchor));
    earlier.delete(placeOf(anchor));
    return before === undefined ? anchor : better(anchor.type, before, anchor);
  });
  const unknown = old.anchors.filter(
    (anchor) => !isKnownAnchor(anchor) && !fresh.anchors.some((each) => sameJson(each, anchor)),
  );
  return fittingAnchors([...merged, ...earlier.values(), ...unknown]);
}

/** As many as a receipt may have, in their order. If there is no room, the last of unknown types are left out first. */
export function fittingAnchors(anchors: readonly ReceiptAnchor[]): ReceiptAnchor[] {
  const room = MAX_ANCHORS - anchors.filter(isKnownAnchor).length;
  const unknown = anchors.filter((anchor) => !isKnownAnchor(anchor)).slice(0, Math.max(0, room));
  return anchors.filter((anchor) => isKnownAnchor(anchor) || unknown.includes(anchor)).slice(0, MAX_ANCHORS);
}

/** How anchors of one type are merged. */
interface AnchorMerge<A> {
  /** Tells the anchors of one type apart: of two with the same place, the later one replaces the earlier one. */
  place(anchor: A): string;
  /** What the later anchor becomes: proofs and unknown members of the earlier one are kept. */
  merge(earlier: A, later: A): A;
}

const MERGES: { readonly [T in Anchor['type']]: AnchorMerge<AnchorOf[T]> } = {
  evm: {
    place: ({ chain, contract }) => `${chain} ${contract}`,
    // Another transaction or block replaces one that a reorganization dropped.
    merge(earlier, later) {
      if (earlier.status === 'submitted' || later.status === 'submitted') return later;
      const same = earlier.transaction === later.transaction && earlier.block.hash === later.block.hash;
      return same ? { ...earlier, ...later } : later;
    },
  },
  opentimestamps: {
    place: () => '',
    merge: (earlier, later) =>
      earlier.status === 'confirmed' && later.status === 'pending' ? earlier : { ...earlier, ...later },
  },
  // The earlier of two tokens of one authority proves more.
  rfc3161: {
    place: ({ authority }) => authority,
    merge: (earlier, later) => (earlier.time <= later.time ? { ...later, ...earlier } : { ...earlier, ...later }),
  },
};

function placeOf(anchor: Anchor): string {
  const place = <T extends Anchor['type']>(type: T, each: AnchorOf[T]): string => MERGES[type].place(each);
  return `${anchor.type} ${place(anchor.type, anchor)}`;
}

function better<T extends Anchor['type']>(type: T, earlier: Anchor, later: AnchorOf[T]): Anchor {
  return isOf(type, earlier) ? MERGES[type].merge(earlier, later) : later;
}

function isOf<T extends Anchor['type']>(type: T, anchor: Anchor): anchor is Anchor & AnchorOf[T] {
  return anchor.type === type;
}
