// What proofs of a place alone say of an entry of ours that they carry: tlog-proofs and COSE receipts.

import { sha256 } from '#sha256';
import { equalBytes } from '../core/bytes.ts';
import { commitTo, type Entry, type OpenEntry } from '../core/entry.ts';
import { logId } from '../core/origin.ts';
import { formatTime } from '../core/time.ts';
import { type Claim, claimOf } from '../core/verdict.ts';
import { checkContent, type GivenContent } from './content.ts';

/** Whether the content is what the entry commits to. @param proof such as `the proof` */
export function checkOwnContent(given: GivenContent, { entry, nonce }: OpenEntry, proof: string): Claim {
  return checkContent(given, {
    hash: 'SHA-256',
    digestOf: sha256,
    matches: (digest) => digest.length === 32 && equalBytes(commitTo(digest, nonce), entry.commitment),
    own: `the one that the entry in ${proof} commits to`,
    proof,
  });
}

/** That the entry names another hash than that of the entry before it; null: it does not, or the path has no such hash. */
export function checkPrevious(entry: Entry, index: number, path: readonly Uint8Array[], log: string): Claim | null {
  const before = index === 0 ? logId(log) : index % 2 === 1 ? path[0] : undefined;
  if (before === undefined || equalBytes(before, entry.previous)) return null;
  const says = 'The entry does not name the hash of the entry before it in the log.';
  return claimOf('previous-differs', { claim: 'position', grounds: 'bytes', says });
}

export function operatorsTime({ receivedAt }: Entry): Claim {
  const time = formatTime(receivedAt);
  const says = `That the entry was received at ${time} is only the operator's word.`;
  return claimOf('operators-word', { claim: 'received-at', time, grounds: 'none', says });
}
