// The verifier of COSE receipts (RFC 9942) of our logs: that an entry stands in a tree whose root the log signed, not when.

import { verifyEd25519 } from '#ed25519';
import { equalBytes, toHex } from '../core/bytes.ts';
import { coseThumbprint, parseCoseKey } from '../core/cose-key.ts';
import {
  type CoseConsistency,
  type CoseInclusion,
  type CoseReceipt,
  coseMessage,
  parseCoseReceipt,
} from '../core/cose-receipt.ts';
import { entryLeafHash, type OpenEntry, parseOpenEntry } from '../core/entry.ts';
import { FormatError, parsed } from '../core/errors.ts';
import { rootFromConsistency, rootFromInclusion } from '../core/proof.ts';
import { type Claim, claimOf, type Verdict, type VerdictCode, verdictOf } from '../core/verdict.ts';
import type { GivenContent } from './content.ts';
import { checkOwnContent, checkPrevious, operatorsTime } from './own-entry.ts';
import type { Trust } from './trust.ts';

/** What is to be verified; a given digest is the SHA-256 of the entry, 32 bytes. */
export interface VerifyCoseReceiptInput extends GivenContent {
  readonly cose: Uint8Array;
  /** Of a consistency receipt: the trees that it is about. */
  readonly trees?: GivenTrees | undefined;
}

/** A tree by its root, which the user has; or a COSE receipt with the entry in it, which leads to one. */
export type GivenTree =
  | { readonly root: Uint8Array /** Null: not known. */; readonly size: number | null }
  | { readonly receipt: Uint8Array };

export interface GivenTrees {
  readonly older: GivenTree;
  readonly newer?: GivenTree | undefined;
}

type TrustedKey = ReturnType<typeof parseCoseKey>;

const unknown = (code: VerdictCode, claim: Claim['claim'], says: string): Claim =>
  claimOf(code, { claim, grounds: 'none', says });

/**
 * The verdict on a COSE receipt. It never is `proven`: the format has no room for a time. Of what is trusted only the log's key
 * for COSE receipts counts.
 * @throws FormatError `verifier-key`
 */
export function verifyCoseReceipt({ cose, trees, ...given }: VerifyCoseReceiptInput, { key }: Trust): Verdict {
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
  if (proof.kind === 'consistency') return verdictOf(consistencyClaims(receipt, proof, trees, trusted), [], null);
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

/** That the newer tree, which the log signed, begins with the older one. */
function consistencyClaims(
  receipt: CoseReceipt,
  { from, to, path }: CoseConsistency,
  trees: GivenTrees | undefined,
  trusted: TrustedKey | null,
): Claim[] {
  const { log } = receipt;
  if (trees === undefined) {
    const says =
      `This is a consistency receipt: it says that the log ${log} of ${to} entries begins with that of ${from}, and nothing ` +
      'of any content. To check it, give the root of the older tree, or a COSE receipt of an entry in it.';
    return [unknown('cose-consistency', 'position', says)];
  }
  const broken = (says: string): Claim =>
    claimOf('cose-consistency-broken', { claim: 'position', grounds: 'bytes', says });
  const [older, newer] = [trees.older, trees.newer].map((tree) => tree && treeOf(tree, log, trusted));
  for (const [tree, size] of [
    [older, from],
    [newer, to],
  ] as const) {
    if (typeof tree === 'string') return [unknown('cose-consistency', 'position', tree)];
    if (tree === undefined || tree.size === null || tree.size === size) continue;
    const says = `The receipt is about the trees of ${from} and ${to} entries; one of ${tree.size} was given.`;
    return [unknown('cose-consistency', 'position', says)];
  }
  if (older === undefined || typeof older === 'string' || typeof newer === 'string') return [];
  const root = rootFromConsistency(from, to, path, older.root);
  const checkpoint = checkKey(receipt, root, trusted, 'the older tree leads to');
  const signed = [older, newer].flatMap((tree) => tree?.checkpoint ?? []);
  if (root === null) {
    const says = `The proof does not begin with the given tree of ${from} entries: it is of another log or another history of the log ${log}.`;
    return [broken(says), checkpoint, ...signed];
  }
  if (newer !== undefined && !equalBytes(root, newer.root)) {
    const says = `The given trees are two histories of the log ${log}: the one of ${to} entries does not continue the one of ${from}.`;
    return [broken(says), checkpoint, ...signed];
  }
  if (checkpoint.status !== 'verified') {
    const says = `That the log ${log} of ${to} entries begins with that of ${from}, was not checked.`;
    return [unknown('cose-consistency', 'position', says), checkpoint, ...signed];
  }
  const says =
    `The log ${log} of ${to} entries, whose root was signed with the given key, begins with the given tree of ${from} entries: ` +
    'in between nothing of it was rewritten.';
  return [claimOf('cose-consistency-by-key', { claim: 'position', grounds: 'key', says }), checkpoint, ...signed];
}

/** The root of a given tree, and of a receipt whether it was signed; a sentence where there is none. */
function treeOf(
  tree: GivenTree,
  log: string,
  trusted: TrustedKey | null,
): { root: Uint8Array; size: number | null; checkpoint?: Claim } | string {
  if ('root' in tree) return tree;
  const receipt = parsed(() => parseCoseReceipt(tree.receipt));
  if (receipt?.proof.kind !== 'inclusion' || receipt.entry === null || receipt.log !== log) {
    return `For a tree of the log ${log} give its root, or a COSE receipt of an entry of this log with the entry in it.`;
  }
  const { index, treeSize, path } = receipt.proof;
  const own = parseOpenEntry(receipt.entry);
  const root = own === null ? null : rootFromInclusion(entryLeafHash(own.entry), index, treeSize, path);
  if (root === null) return 'The path in the given receipt has not the length of one to its index.';
  return { root, size: treeSize, checkpoint: checkKey(receipt, root, trusted, 'its entry leads to') };
}

function placeClaims(
  receipt: CoseReceipt,
  { index, treeSize, path }: CoseInclusion,
  { entry }: OpenEntry,
  trusted: TrustedKey | null,
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

/** Whether the log signed the root that the proof leads to. @param root null: it leads to none @param led such as `the entry leads to` */
function checkKey(
  receipt: CoseReceipt,
  root: Uint8Array | null,
  trusted: TrustedKey | null,
  led = 'the entry leads to',
): Claim {
  const { keyId, log, signature } = receipt;
  if (trusted === null) {
    const says = `No key was given, so it was not checked that the log ${log} signed the root that ${led}.`;
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
    ? by('cose-signature-holds', `The root that ${led} was signed with the given key of the log ${log}.`)
    : by('cose-signature-broken', `The given key of the log did not sign the root that ${led}.`);
}
