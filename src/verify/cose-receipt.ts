// The verifier of COSE receipts (RFC 9942) of our logs: that an entry stands in a tree whose root the log signed, not when.

import { verifyEd25519 } from '#ed25519';
import { equalBytes, toHex } from '../core/bytes.ts';
import { coseThumbprint, parseCoseKey } from '../core/cose-key.ts';
import { type CoseInclusion, type CoseReceipt, coseMessage, parseCoseReceipt } from '../core/cose-receipt.ts';
import { entryLeafHash, type OpenEntry, parseOpenEntry } from '../core/entry.ts';
import { FormatError } from '../core/errors.ts';
import { rootFromInclusion } from '../core/proof.ts';
import { type Claim, claimOf, type Verdict, type VerdictCode, verdictOf } from '../core/verdict.ts';
import type { GivenContent } from './content.ts';
import { checkOwnContent, checkPrevious, operatorsTime } from './own-entry.ts';
import type { Trust } from './trust.ts';

/** What is to be verified; a given digest is the SHA-256 of the entry, 32 bytes. */
export interface VerifyCoseReceiptInput extends GivenContent {
  readonly cose: Uint8Array;
}

const unknown = (code: VerdictCode, claim: Claim['claim'], says: string): Claim =>
  claimOf(code, { claim, grounds: 'none', says });

/**
 * The verdict on a COSE receipt. It never is `proven`: the format has no room for a time. Of what is trusted only the log's key
 * for COSE receipts counts.
 * @throws FormatError `verifier-key`
 */
export function verifyCoseReceipt({ cose, ...given }: VerifyCoseReceiptInput, { key }: Trust): Verdict {
  const trusted = key === undefined ? null : parseCoseKey(key);
  let receipt: CoseReceipt;
  try {
    receipt = parseCoseReceipt(cose);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return verdictOf([unread(error)], [], null);
  }
  const { proof, log } = receipt;
  const own = receipt.entry === null ? null : parseOpenEntry(receipt.entry);
  if (proof.kind === 'consistency') {
    const says =
      `This is a consistency receipt: it says that the log ${log} of ${proof.to} entries begins with that of ` +
      `${proof.from}, and nothing of any content.`;
    return verdictOf([unknown('cose-consistency', 'position', says)], [], null);
  }
  if (own === null) {
    const says = `The receipt does not carry the entry, from which its place in the log ${log} is checked.`;
    const content = 'The receipt does not carry the entry, so it was not checked what the receipt is about.';
    return verdictOf(
      [unknown('content-not-given', 'content', content), unknown('cose-entry-missing', 'position', says)],
      [],
      null,
    );
  }
  const { checkpoint, position } = placeClaims(receipt, proof, own, trusted);
  return verdictOf(
    [checkOwnContent(given, own, 'the receipt'), position, checkpoint, operatorsTime(own.entry)],
    [],
    null,
  );
}

function unread({ code, message }: FormatError): Claim {
  if (code === 'cose-receipt-foreign') {
    const says = `This version does not read this COSE message: ${message}.`;
    return unknown('cose-receipt-foreign', 'position', says);
  }
  const says = `The receipt breaks its format, so it shows nothing: ${message}.`;
  return claimOf('cose-receipt-invalid', { claim: 'position', grounds: 'bytes', says });
}

function placeClaims(
  receipt: CoseReceipt,
  { index, treeSize, path }: CoseInclusion,
  { entry }: OpenEntry,
  trusted: ReturnType<typeof parseCoseKey> | null,
): { checkpoint: Claim; position: Claim } {
  const { log } = receipt;
  const where = `index ${index} of the log ${log}, in its tree of ${treeSize} entries`;
  const open = unknown('cose-position-unchecked', 'position', `That the entry stands at ${where}, was not checked.`);
  const root = rootFromInclusion(entryLeafHash(entry), index, treeSize, path);
  if (root === null) {
    const says = `The path has not the length of one to index ${index} in a tree of ${treeSize} entries.`;
    const position = claimOf('cose-path-broken', { claim: 'position', grounds: 'bytes', says });
    return { checkpoint: checkKey(receipt, null, trusted), position };
  }
  const checkpoint = checkKey(receipt, root, trusted);
  const previous = checkPrevious(entry, index, path, log);
  if (previous !== null) return { checkpoint, position: previous };
  if (checkpoint.status !== 'verified') return { checkpoint, position: open };
  const says =
    `The entry stands in a tree of the log ${log} whose root was signed with the given key. That it is ${where}, is what ` +
    'the receipt says: the signature covers the root alone.';
  return { checkpoint, position: claimOf('cose-position-by-key', { claim: 'position', grounds: 'key', says }) };
}

/** Whether the log signed the root that the entry and the path lead to. @param root null: they lead to none */
function checkKey(
  receipt: CoseReceipt,
  root: Uint8Array | null,
  trusted: ReturnType<typeof parseCoseKey> | null,
): Claim {
  const { keyId, log, signature } = receipt;
  if (trusted === null) {
    const says = `No key was given, so it was not checked that the log ${log} signed the root that the entry leads to.`;
    return unknown('key-not-given', 'checkpoint', says);
  }
  const by = (code: VerdictCode, says: string): Claim => claimOf(code, { claim: 'checkpoint', grounds: 'key', says });
  if (trusted === 'checkpoints') {
    const says =
      'The given key is one for checkpoints, and COSE receipts are signed with other keys: give the coseKey of the log.';
    return by('key-not-for-this-log', says);
  }
  if (trusted.name !== log) {
    const says = `The given key is that of ${trusted.name}, but the receipt is from the log ${log}: ask for the key of that log.`;
    return by('key-not-for-this-log', says);
  }
  const given = coseThumbprint(trusted.publicKey);
  if (!equalBytes(given, keyId)) {
    const says =
      `The receipt is signed by another key of the log ${log} (${toHex(keyId)}) than the given one (${toHex(given)}): was ` +
      "the key rotated? Ask the log's operator for the key with that id.";
    return by('signature-by-another-key', says);
  }
  const holds = root !== null && verifyEd25519(signature, coseMessage(receipt, root), trusted.publicKey);
  return holds
    ? by('cose-signature-holds', `The root that the entry leads to was signed with the given key of the log ${log}.`)
    : by('cose-signature-broken', 'The given key of the log did not sign the root that the entry leads to.');
}
