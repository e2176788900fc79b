// Where the entry stands, and who says so: the claims `position` and `checkpoint`.

import { toHex } from '../core/bytes.ts';
import { type Checkpoint, parseCheckpoint } from '../core/checkpoint.ts';
import { parsed } from '../core/errors.ts';
import type { LogVerifier } from '../core/log-verifier.ts';
import { type Note, parseNote } from '../core/note.ts';
import { logId } from '../core/origin.ts';
import { type Receipt, receiptLeafHash } from '../core/receipt.ts';
import { type Claim, claimOf, type VerdictCode } from '../core/verdict.ts';
import { checkSignature } from './signature.ts';
import type { TreeMemory } from './tree-memory.ts';

/** What was found about a checkpoint, for every entry in it. */
export interface Signed {
  readonly claim: Claim;
  /** Null where it cannot be read. */
  readonly read: { readonly note: Note; readonly head: Checkpoint } | null;
}

/**
 * Reads the checkpoint of a receipt, and whether the log signed it.
 * @param text the signed note
 * @param log the origin of the log that it should be of
 */
export function readSigned(text: string, log: string, keys: readonly LogVerifier[] | null): Signed {
  const read = readCheckpoint(text);
  if (read !== null) return { claim: checkSignature(read.note, log, keys, 'the receipt'), read };
  const says = UNREADABLE;
  return { claim: claimOf('checkpoint-unreadable', { claim: 'checkpoint', grounds: 'bytes', says }), read };
}

const UNREADABLE = 'The checkpoint in the receipt cannot be read as a signed note of a log.';

function readCheckpoint(text: string): { note: Note; head: Checkpoint } | null {
  return parsed(() => {
    const note = parseNote(text);
    return { note, head: parseCheckpoint(note.text) };
  });
}

/**
 * Whether the entry stands in the checkpoint's tree.
 * @param tree the memory of that tree; null where the checkpoint cannot be read
 */
export function checkPosition(receipt: Receipt, { claim, read }: Signed, tree: TreeMemory | null): Claim {
  const { entry, inclusion } = receipt;
  const refute = (code: VerdictCode, says: string): Claim =>
    claimOf(code, { claim: 'position', grounds: 'bytes', says });
  if (read === null || tree === null) return refute('checkpoint-unreadable', UNREADABLE);
  const { head } = read;
  if (head.origin !== entry.log || head.size !== inclusion.treeSize) {
    return refute('checkpoint-differs', 'The checkpoint in the receipt is of another log or size than its proof.');
  }
  if (!tree.holds(receiptLeafHash(receipt), entry.index, inclusion.path)) {
    return refute(
      'position-broken',
      `The proof in the receipt does not lead from the entry to the checkpoint: it does not stand at index ${entry.index}.`,
    );
  }
  // The hash of the entry before is at hand where that entry is the left sibling, and for the first entry.
  const before = entry.index === 0 ? toHex(logId(entry.log)) : entry.index % 2 === 1 ? inclusion.path[0] : undefined;
  if (before !== undefined && before !== entry.previous) {
    return refute('previous-differs', 'The entry does not name the hash of the entry before it in the log.');
  }
  const stands = `The entry stands at index ${entry.index} of the log ${entry.log}, in its tree of ${head.size === 1 ? '1 entry' : `${head.size} entries`}`;
  return claim.status === 'verified'
    ? claimOf('position-by-key', {
        claim: 'position',
        grounds: 'key',
        says: `${stands}, signed with the given key.`,
      })
    : claimOf('position-by-bytes', {
        claim: 'position',
        grounds: 'bytes',
        says: `${stands}; no key confirms that this tree is the log's own.`,
      });
}
