// The verifier of C2SP tlog-proofs of our logs: where an entry stands, not when.

import { sha256 } from '#sha256';
import { equalBytes } from '../core/bytes.ts';
import { commitTo, entryLeafHash } from '../core/entry.ts';
import { FormatError } from '../core/errors.ts';
import { checkNote, parseVerifierKey, type Verifier } from '../core/note.ts';
import { logId } from '../core/origin.ts';
import { verifyInclusion } from '../core/proof.ts';
import { formatTime } from '../core/time.ts';
import { isTlogProof, type ParsedTlogProof, parseTlogProof, tlogProofEntry } from '../core/tlog-proof.ts';
import { type Claim, claimOf, type Verdict, type VerdictCode, verdictOf } from '../core/verdict.ts';
import { checkContent, type GivenContent } from './content.ts';
import type { Trust } from './trust.ts';
import { checkWitnesses } from './witnesses.ts';

/** What is to be verified. */
export interface VerifyTlogProofInput extends GivenContent {
  /** The text of a tlog-proof; a given digest is the SHA-256 of the entry, 32 bytes. */
  readonly proof: string;
}

/**
 * The verdict on a tlog-proof of one of our logs. It never is `proven`: the format has no room for a time. Only the
 * log's key and the policy count. A text that begins as tlog-proofs do and breaks the format is refuted.
 * @throws FormatError `tlog-proof-invalid` where the input does not say it is a tlog-proof at all; `verifier-key`
 */
export function verifyTlogProof(input: VerifyTlogProofInput, trust: Trust): Verdict {
  let proof: ParsedTlogProof;
  let inside: ReturnType<typeof tlogProofEntry>;
  try {
    proof = parseTlogProof(input.proof);
    inside = tlogProofEntry(proof);
  } catch (error) {
    if (!(error instanceof FormatError) || !isTlogProof(input.proof)) throw error;
    const says = `The proof breaks its format, so it shows nothing: ${error.message}.`.slice(0, 2_000);
    return verdictOf([claimOf('tlog-proof-invalid', { claim: 'position', grounds: 'bytes', says })], [], null);
  }
  const { entry, nonce } = inside;
  const checkpoint = checkSignature(proof, keysOf(trust));
  const witnesses = trust.policy === undefined ? null : checkWitnesses(proof.note, trust.policy);
  const claims = [
    checkContent(input, {
      hash: 'SHA-256',
      digestOf: sha256,
      matches: (digest) => digest.length === 32 && equalBytes(commitTo(digest, nonce), entry.commitment),
      own: 'the one that the entry in the proof commits to',
      proof: 'the proof',
    }),
    checkPosition(proof, inside, checkpoint.status === 'verified'),
    checkpoint,
    ...(witnesses === null ? [] : [witnesses]),
    claimOf('operators-word', {
      claim: 'received-at',
      time: formatTime(entry.receivedAt),
      grounds: 'none',
      says: `That the entry was received at ${formatTime(entry.receivedAt)} is the operator's word.`,
    }),
  ];
  return verdictOf(claims, [], null);
}

/** Of logs; null where none was given. */
function keysOf({ key, policy }: Trust): Verifier[] | null {
  const keys = [...(key === undefined ? [] : [parseVerifierKey(key)]), ...(policy?.logs.map((log) => log.key) ?? [])];
  return keys.length === 0 ? null : keys;
}

function checkSignature({ note, head }: ParsedTlogProof, keys: readonly Verifier[] | null): Claim {
  if (keys === null) {
    return claimOf('key-not-given', {
      claim: 'checkpoint',
      grounds: 'none',
      says: `No key was given, so it was not checked that the checkpoint was signed by the log ${head.origin}.`,
    });
  }
  const by = (code: VerdictCode, says: string): Claim => claimOf(code, { claim: 'checkpoint', grounds: 'key', says });
  const own = keys.filter(({ name }) => name === head.origin);
  if (own.length === 0) {
    const names = keys.map(({ name }) => name).join(', ');
    return by(
      'key-of-another-log',
      `The given keys are those of ${names}, but the proof is of the log ${head.origin}.`,
    );
  }
  const answers = own.map((key) => checkNote(note, key));
  if (answers.includes('refuted')) {
    return by('signature-broken', 'The signature of the checkpoint does not hold under the given key.');
  }
  return answers.includes('verified')
    ? by('signature-holds', `The checkpoint was signed with the given key of the log ${head.origin}.`)
    : by('signature-absent', 'The checkpoint has no signature by the given key.');
}

function checkPosition(
  { index, path, head }: ParsedTlogProof,
  { entry }: ReturnType<typeof tlogProofEntry>,
  signed: boolean,
): Claim {
  const refute = (code: VerdictCode, says: string): Claim =>
    claimOf(code, { claim: 'position', grounds: 'bytes', says });
  if (!verifyInclusion(entryLeafHash(entry), index, head.size, path, head.root)) {
    return refute(
      'position-broken',
      `The proof does not lead from the entry to the checkpoint: it does not stand at index ${index}.`,
    );
  }
  const before = index === 0 ? logId(head.origin) : index % 2 === 1 ? path[0] : undefined;
  if (before !== undefined && !equalBytes(before, entry.previous)) {
    return refute('previous-differs', 'The entry does not name the hash of the entry before it in the log.');
  }
  const stands = `The entry stands at index ${index} of the log ${head.origin}, in its tree of ${head.size} entries`;
  return signed
    ? claimOf('position-by-key', { claim: 'position', grounds: 'key', says: `${stands}, signed with the given key.` })
    : claimOf('position-by-bytes', {
        claim: 'position',
        grounds: 'bytes',
        says: `${stands}; no key was given to confirm that this tree is the log's own.`,
      });
}
