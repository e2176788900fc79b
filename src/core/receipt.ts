// `antequem-receipt/v1`: reading it, the path it holds, and how an older one is brought up to date.

import { equalBytes, excerpt, fromHex, toHex } from './bytes.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { commitTo, entryLeafHash } from './entry.ts';
import { AntequemError, FormatError } from './errors.ts';
import { parseNote } from './note.ts';
import { logId } from './origin.ts';
import { entryStep, leafStep, nonceStep, type Step, treeSteps, walkPath } from './path.ts';
import { verifyConsistency, verifyInclusion } from './proof.ts';
import {
  type Anchor,
  MAX_RECEIPT_TEXT,
  pendingReceiptSchema,
  RECEIPT_FORMAT,
  type Receipt,
  type RoundReceipt,
  roundReceiptSchema,
} from './receipt-schema.ts';
import { checkpointLeafPrefix } from './round.ts';
import { parseTime } from './time.ts';

export type {
  Anchor,
  AnchorOf,
  EvmAnchor,
  OpenTimestampsAnchor,
  PendingReceipt,
  Receipt,
  RoundReceipt,
} from './receipt-schema.ts';
export { MAX_RECEIPT_TEXT, RECEIPT_FORMAT } from './receipt-schema.ts';

/** The deepest nesting a receipt has is 6 (anchors, anchor, proof, list of nodes); deeper text is not looked into. */
const MAX_DEPTH = 8;

/** Compiled checks are six times as fast, and need `eval`, which the content security policy of a page forbids. */
const JITLESS = !('process' in globalThis);

/**
 * Reads a receipt's JSON text.
 * @throws FormatError `receipt-invalid`
 */
export function parseReceiptText(text: string): Receipt {
  return parseReceipt(parseReceiptJson(text));
}

/**
 * The JSON in a text that may be a receipt, neither too long nor too deep for one; its form is not checked.
 * @throws FormatError `receipt-invalid`
 */
export function parseReceiptJson(text: string): unknown {
  if (text.length > MAX_RECEIPT_TEXT) {
    throw invalid('', `the text has ${text.length} characters; ${MAX_RECEIPT_TEXT} are the most`);
  }
  if (tooDeep(text)) throw invalid('', `nested deeper than ${MAX_DEPTH}`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError('receipt-invalid', 'not a receipt: the text is not JSON', { cause });
  }
}

/**
 * Checks the form of a receipt. Says nothing about whether its hashes hold together.
 * @throws FormatError `receipt-invalid`; the message names the place in the JSON
 */
export function parseReceipt(json: unknown): Receipt {
  if (typeof json !== 'object' || json === null) throw invalid('', 'not a JSON object');
  const options = { jitless: JITLESS };
  const result =
    'round' in json ? roundReceiptSchema.safeParse(json, options) : pendingReceiptSchema.safeParse(json, options);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.map(String) ?? [];
  if (issue?.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const why = path.length === 0 && key === 'anchors' ? 'no anchors without a round' : 'no such field in a receipt';
    throw invalid([...path, excerpt(key)].join('.'), why);
  }
  throw invalid(path.join('.'), issue?.message === 'Invalid input' ? 'missing or of another type' : issue?.message);
}

function invalid(path: string, why = ''): FormatError {
  return new FormatError(
    'receipt-invalid',
    `not a receipt (${RECEIPT_FORMAT}): ${path === '' ? '' : `${path}: `}${why}`,
  );
}

function tooDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text[i];
    if (quoted) {
      if (unit === '\\') i++;
      else if (unit === '"') quoted = false;
    } else if (unit === '"') quoted = true;
    else if (unit === '{' || unit === '[') {
      if (++depth > MAX_DEPTH) return true;
    } else if (unit === '}' || unit === ']') depth--;
  }
  return false;
}

/** A block hash as receipts and verdicts write it: with 0x for EVM chains, without for others. */
export function formatBlockHash(chain: string, hash: Uint8Array): string {
  return chain.startsWith('eip155:') ? `0x${toHex(hash)}` : toHex(hash);
}

/** The 32 bytes of a block hash, with 0x or without. @throws FormatError `hex-invalid` */
export function parseBlockHash(text: string): Uint8Array {
  return fromHex(text.startsWith('0x') ? text.slice(2) : text);
}

/** The bytes of a receipt's hashes, in their order. */
export function decodeHashes(path: readonly string[]): Uint8Array[] {
  return path.map((hash) => fromHex(hash));
}

/** Leaf hash of the entry that the receipt is about. */
export function receiptLeafHash(receipt: Receipt): Uint8Array {
  const { entry } = receipt;
  return entryLeafHash({
    receivedAt: parseTime(entry.receivedAt),
    previous: fromHex(entry.previous),
    commitment: commitTo(fromHex(entry.digest), fromHex(entry.nonce)),
  });
}

/** The way from a digest to the root of its round. */
export interface ReceiptPath {
  /** 32 bytes. */
  readonly digest: Uint8Array;
  readonly steps: readonly Step[];
  /** 32 bytes: where the steps lead. Whether that is the `round.root` of the receipt is the verifier's to say. */
  readonly root: Uint8Array;
}

/**
 * The path of design section 1 from the receipt's digest to the root of its round.
 * @throws AntequemError `receipt-pending` before the round has closed
 * @throws FormatError `path-length` where a path has not the one length it can have
 */
export function receiptPath(receipt: Receipt): ReceiptPath {
  if (!('round' in receipt)) {
    throw new AntequemError(
      'receipt-pending',
      `the round of entry ${receipt.entry.index} of ${receipt.entry.log} has not closed yet: upgrade the receipt later`,
    );
  }
  const { entry, inclusion, round } = receipt;
  const digest = fromHex(entry.digest);
  const steps = [
    nonceStep(fromHex(entry.nonce)),
    entryStep(parseTime(entry.receivedAt), fromHex(entry.previous)),
    ...treeSteps(entry.index, inclusion.treeSize, decodeHashes(inclusion.path)),
    leafStep(checkpointLeafPrefix({ logId: logId(entry.log), size: inclusion.treeSize })),
    ...treeSteps(round.index, round.size, decodeHashes(round.path)),
  ];
  return { digest, steps, root: walkPath(digest, steps) };
}

/** What an upgrade came to. */
export interface MergedReceipt {
  readonly receipt: Receipt;
  /** One sentence when the two receipts contradict each other: then `receipt` is the older one, unchanged. */
  readonly equivocation: string | null;
}

/**
 * Brings `old` up to date by a receipt of the same entry fetched later. Inclusion, checkpoint and what hangs on them
 * are replaced only when the two checkpoints are the same or `consistency` ties them (the RFC 9162 proof from the
 * smaller to the larger). Otherwise keep both files: together they show that the log was forked.
 * @throws AntequemError `receipt-other-entry` when they speak of different entries
 * @throws FormatError `receipt-broken` when one of them does not hold together, which shows nothing about the log
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
  try {
    return verifyConsistency(smaller.size, larger.size, decodeHashes(path), smaller.root, larger.root);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

function mergeRounds(old: Receipt, fresh: Receipt): MergedReceipt {
  if (!('round' in old)) return { receipt: { ...fresh, entry: old.entry }, equivocation: null };
  // A service set back knows less than the receipt: what the receipt proves, it goes on proving.
  if (!('round' in fresh)) return { receipt: old, equivocation: null };
  if (old.round.number !== fresh.round.number || old.round.root !== fresh.round.root) {
    return {
      receipt: old,
      equivocation:
        `${old.entry.log} showed its entry ${old.entry.index} in round ${old.round.number} with root ` +
        `${old.round.root} and in round ${fresh.round.number} with root ${fresh.round.root}.`,
    };
  }
  return { receipt: { ...fresh, entry: old.entry, anchors: mergeAnchors(old, fresh) }, equivocation: null };
}

/** The fresh anchors, then those of the older receipt for chains and contracts that the fresh one does not speak of. */
function mergeAnchors(old: RoundReceipt, fresh: RoundReceipt): Anchor[] {
  const known = new Map(old.anchors.map((anchor) => [place(anchor), anchor]));
  const merged = fresh.anchors.map((anchor) => {
    const earlier = known.get(place(anchor));
    known.delete(place(anchor));
    return earlier === undefined ? anchor : better(earlier, anchor);
  });
  return [...merged, ...known.values()].slice(0, 16);
}

const place = (anchor: Anchor): string => (anchor.type === 'evm' ? `${anchor.chain} ${anchor.contract}` : anchor.type);

/** The later anchor of one place: another transaction replaces one lost to a reorg; proofs at hand are not lost. */
function better(earlier: Anchor, later: Anchor): Anchor {
  if (earlier.type === 'opentimestamps') {
    return earlier.status === 'confirmed' && later.status === 'pending' ? earlier : later;
  }
  if (later.type !== 'evm' || earlier.status === 'submitted' || later.status === 'submitted') return later;
  const same = earlier.transaction === later.transaction && earlier.block.hash === later.block.hash;
  return same && earlier.proof !== undefined && later.proof === undefined ? { ...later, proof: earlier.proof } : later;
}
