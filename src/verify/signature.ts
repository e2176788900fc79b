// Whether a log signed a checkpoint: a claim `checkpoint`, for receipts and tlog-proofs.

import { toHex } from '../core/bytes.ts';
import { ML_DSA_44_COSIGNATURE } from '../core/cosignature.ts';
import { checkLogSignature, type LogVerifier, parseLogVerifier } from '../core/log-verifier.ts';
import { ED25519_NOTE, type Note } from '../core/note.ts';
import { type Claim, claimOf, type VerdictCode } from '../core/verdict.ts';
import type { Trust } from './trust.ts';

const CHECKED_TYPES: readonly number[] = [ED25519_NOTE, ML_DSA_44_COSIGNATURE];

/**
 * The keys that a verifier was given for a log: the one given by itself, of whatever log, and those of this log in the
 * policy. Null: none.
 */
export function keysFor({ key, policy }: Trust, log: string): readonly LogVerifier[] | null {
  const listed =
    policy?.logs.flatMap((each) =>
      each.key.name === log && CHECKED_TYPES.includes(each.key.type) ? [each.key] : [],
    ) ?? [];
  const keys = [...(key === undefined ? [] : [parseLogVerifier(key)]), ...listed];
  return keys.length === 0 ? null : keys;
}

/**
 * Whether the log signed the note with one of the keys. A signed note says nothing by a signature that it does not have:
 * only a signature by a given key that does not hold refutes.
 * @param log the origin of the log that it should be of
 * @param proof such as `the receipt`
 */
export function checkSignature(note: Note, log: string, keys: readonly LogVerifier[] | null, proof: string): Claim {
  if (keys === null) {
    const says = `No key was given, so it was not checked that the checkpoint was signed by the log ${log}.`;
    return claimOf('key-not-given', { claim: 'checkpoint', grounds: 'none', says });
  }
  const by = (code: VerdictCode, says: string): Claim => claimOf(code, { claim: 'checkpoint', grounds: 'key', says });
  const own = keys.filter(({ name }) => name === log);
  if (own.length === 0) {
    const names = [...new Set(keys.map(({ name }) => name))].join(', ');
    return by(
      'key-not-for-this-log',
      `The given key is that of ${names}, but ${proof} is from the log ${log}: ask for the key of that log.`,
    );
  }
  const answers = own.map((key) => checkLogSignature(note, key));
  if (answers.includes('refuted')) {
    return by('signature-broken', 'The signature of the checkpoint does not hold under the given key.');
  }
  const others = otherKeys(note, log, own);
  if (answers.includes('verified')) {
    const ties =
      others === ''
        ? ''
        : `, and has a signature by another key of it (${others}), as while keys are rotated or beside one of another kind`;
    return by('signature-holds', `The checkpoint was signed with the given key of the log ${log}${ties}.`);
  }
  if (others === '') {
    const says = `The checkpoint has no signature by the log ${log}, so the given key confirms nothing: ask the log's operator for a new receipt.`;
    return by('signature-not-found', says);
  }
  const given = own.map(({ keyId }) => toHex(keyId)).join(', ');
  const says =
    `The checkpoint is signed by another key of the log ${log} (${others}) than the given one (${given}): was the key ` +
    "rotated? Ask the log's operator for the key with that id; the service's log _system tells of every change of keys.";
  return by('signature-by-another-key', says);
}

/** Ids of keys that signed in the log's name and were not given. */
function otherKeys({ signatures }: Note, log: string, given: readonly LogVerifier[]): string {
  const known = new Set(given.map(({ keyId }) => toHex(keyId)));
  const ids = signatures.flatMap(({ name, keyId }) => (name === log ? [toHex(keyId)] : []));
  return [...new Set(ids)].filter((id) => !known.has(id)).join(', ');
}
