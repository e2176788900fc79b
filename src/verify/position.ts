// Where the entry stands, and who says so: the claims `position` and `checkpoint`.

import { equalBytes, fromHex } from '../core/bytes.ts';
import { type Checkpoint, parseCheckpoint } from '../core/checkpoint.ts';
import { FormatError } from '../core/errors.ts';
import { checkNote, type Note, parseNote, parseVerifierKey } from '../core/note.ts';
import { logId } from '../core/origin.ts';
import { verifyInclusion } from '../core/proof.ts';
import { decodeHashes, type Receipt, receiptLeafHash } from '../core/receipt.ts';
import type { Claim } from '../core/verdict.ts';
import { type Code, claimOf } from './codes.ts';

/** The two claims, and the checkpoint as far as it can be read. */
export interface Standing {
  readonly position: Claim;
  readonly checkpoint: Claim;
  readonly head: Checkpoint | null;
}

/**
 * @param key the log's verifier key, if the verifier was given one
 * @throws FormatError `verifier-key` when the key is none: the verifier's mistake, not the receipt's
 */
export function checkStanding(receipt: Receipt, key: string | undefined): Standing {
  const verifier = key === undefined ? null : parseVerifierKey(key);
  const { log } = receipt.entry;
  const read = readCheckpoint(receipt.checkpoint);
  if (read === null) {
    const says = 'The checkpoint in the receipt cannot be read as a signed note of a log.';
    return {
      position: claimOf('checkpoint-unreadable', { claim: 'position', grounds: 'bytes', says }),
      checkpoint: claimOf('checkpoint-unreadable', { claim: 'checkpoint', grounds: 'bytes', says }),
      head: null,
    };
  }
  const checkpoint = ((): Claim => {
    if (verifier === null) {
      return claimOf('key-not-given', {
        claim: 'checkpoint',
        grounds: 'none',
        says: `No key was given, so it was not checked that the checkpoint was signed by the log ${log}.`,
      });
    }
    const by = (code: Code, says: string): Claim => claimOf(code, { claim: 'checkpoint', grounds: 'key', says });
    if (verifier.name !== log) {
      return by('key-of-another-log', `The given key is that of ${verifier.name}, but the receipt is from ${log}.`);
    }
    switch (checkNote(read.note, verifier)) {
      case 'verified':
        return by('signature-holds', `The checkpoint was signed with the given key of the log ${log}.`);
      case 'refuted':
        return by('signature-broken', 'The signature of the checkpoint does not hold under the given key.');
      case 'absent':
        return by('signature-absent', 'The checkpoint bears no signature of the given key.');
    }
  })();
  return {
    position: checkPosition(receipt, read.head, checkpoint.status === 'verified'),
    checkpoint,
    head: read.head,
  };
}

function readCheckpoint(text: string): { note: Note; head: Checkpoint } | null {
  try {
    const note = parseNote(text);
    return { note, head: parseCheckpoint(note.text) };
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

function checkPosition(receipt: Receipt, head: Checkpoint, signed: boolean): Claim {
  const { entry, inclusion } = receipt;
  const refute = (code: Code, says: string): Claim => claimOf(code, { claim: 'position', grounds: 'bytes', says });
  if (head.origin !== entry.log || head.size !== inclusion.treeSize) {
    return refute('checkpoint-differs', 'The checkpoint in the receipt is of another log or size than its proof.');
  }
  const path = decodeHashes(inclusion.path);
  if (!verifyInclusion(receiptLeafHash(receipt), entry.index, inclusion.treeSize, path, head.root)) {
    return refute(
      'position-broken',
      `The proof in the receipt does not lead from the entry to the checkpoint: it does not stand at index ${entry.index}.`,
    );
  }
  // The hash of the entry before is at hand where that entry is the left sibling, and for the first entry.
  const before = entry.index === 0 ? logId(entry.log) : entry.index % 2 === 1 ? path[0] : undefined;
  if (before !== undefined && !equalBytes(before, fromHex(entry.previous))) {
    return refute('previous-differs', 'The entry does not name the hash of the entry before it in the log.');
  }
  const stands = `The entry stands at index ${entry.index} of the log ${entry.log}, in its tree of ${head.size} entries`;
  return signed
    ? claimOf('position-by-key', {
        claim: 'position',
        grounds: 'key',
        says: `${stands}, signed with the given key.`,
      })
    : claimOf('position-by-bytes', {
        claim: 'position',
        grounds: 'bytes',
        says: `${stands}; that this tree is the log's own rests on the receipt alone, no key confirms it.`,
      });
}
