// `antequem-receipt/v1`: reading it, and the path it holds.

import type * as z from 'zod/mini';
import { excerpt, fromHex, prefixedHex, toHex, utf8 } from './bytes.ts';
import { commitTo, entryLeafHash } from './entry.ts';
import { AntequemError, FormatError } from './errors.ts';
import { repeatedMember } from './json.ts';
import { logId } from './origin.ts';
import { entryStep, leafStep, nonceStep, type Step, treeSteps, unpackPath, walkPath } from './path.ts';
import {
  type Anchor,
  isKnownAnchor,
  MAX_ANCHOR_BYTES,
  MAX_RECEIPT_TEXT,
  pendingReceiptSchema,
  RECEIPT_FORMAT,
  type Receipt,
  type ReceiptAnchor,
  type RoundReceipt,
  receiptAnchorSchema,
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
  ReceiptAnchor,
  RoundReceipt,
} from './receipt-schema.ts';
export { isKnownAnchor, MAX_RECEIPT_TEXT, RECEIPT_FORMAT } from './receipt-schema.ts';

/** Levels of nesting that a receipt's JSON may have; deeper text is not parsed. */
const MAX_DEPTH = 32;

/** The levels left for an anchor below the receipt and its list of anchors. */
const ANCHOR_DEPTH = MAX_DEPTH - 2;

const TOO_DEEP = `nested deeper than ${MAX_DEPTH}`;

/** Compiled checks are six times as fast, and need `eval`, which the content security policy of a page forbids. */
const OPTIONS = { jitless: !('process' in globalThis) };

/**
 * Reads a receipt's JSON text.
 * @throws FormatError `receipt-invalid`, `receipt-ambiguous`
 */
export function parseReceiptText(text: string): Receipt {
  return parseReceipt(parseReceiptJson(text));
}

/**
 * The JSON in a text that may be a receipt, neither too long nor too deep for one; its form is not checked.
 * @throws FormatError `receipt-invalid`; `receipt-ambiguous` where an object has a member twice
 */
export function parseReceiptJson(text: string): unknown {
  if (text.length > MAX_RECEIPT_TEXT) {
    throw invalid('', `the text has ${text.length} characters; ${MAX_RECEIPT_TEXT} are the most`);
  }
  if (tooDeep(text)) throw invalid('', TOO_DEEP);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new FormatError('receipt-invalid', 'not a receipt: the text is not JSON', { cause });
  }
  const twice = repeatedMember(text);
  if (twice === null) return json;
  throw new FormatError(
    'receipt-ambiguous',
    `the receipt has the member ${excerpt(twice)} twice in one object, so readers may see different receipts in it`,
  );
}

/**
 * Checks the form of a receipt, but not its hashes. Anchors are returned as they were parsed, with types and members that
 * this version does not know.
 * @throws FormatError `receipt-invalid`; the message names the place in the JSON
 */
export function parseReceipt(json: unknown): Receipt {
  if (typeof json !== 'object' || json === null) throw invalid('', 'not a JSON object');
  if (!('round' in json)) {
    const pending = pendingReceiptSchema.safeParse(json, OPTIONS);
    if (pending.success) return pending.data;
    throw malformed(pending.error.issues);
  }
  const result = roundReceiptSchema.safeParse(json, OPTIONS);
  if (!result.success) throw malformed(result.error.issues);
  // The schema's copies lack members named `__proto__`.
  const anchors = 'anchors' in json && Array.isArray(json.anchors) ? json.anchors : [];
  return { ...result.data, anchors: boundedAnchors(anchors) };
}

/**
 * The anchors in a list that was parsed, with types and members that this version does not know.
 * @throws FormatError `receipt-invalid` where they are too large or too deep
 */
export function boundedAnchors(json: readonly unknown[]): ReceiptAnchor[] {
  const anchors = json.filter(isReceiptAnchor);
  checkBounds(anchors);
  return anchors;
}

/** The anchors of a receipt that this version can check; none before its round has closed. */
export function knownAnchors(receipt: Receipt | Pick<RoundReceipt, 'anchors'>): Anchor[] {
  return 'anchors' in receipt ? receipt.anchors.filter(isKnownAnchor) : [];
}

const OPEN_STATUSES: readonly string[] = ['pending', 'submitted', 'included'];

/** Whether an anchor says that it is final. Each type has its own word for that. */
export function isFinalAnchor({ status }: Anchor): boolean {
  return !OPEN_STATUSES.includes(status);
}

function isReceiptAnchor(json: unknown): json is ReceiptAnchor {
  return receiptAnchorSchema.safeParse(json, OPTIONS).success;
}

function checkBounds(anchors: readonly ReceiptAnchor[]): void {
  let bytes = 0;
  for (const [i, anchor] of anchors.entries()) {
    const fault = boundsFault(anchor, ANCHOR_DEPTH);
    if (fault !== null) throw invalid(`anchors.${i}`, fault);
    const size = utf8(JSON.stringify(anchor)).length;
    if (size > MAX_ANCHOR_BYTES) throw invalid(`anchors.${i}`, `${size} bytes; ${MAX_ANCHOR_BYTES} are the most`);
    bytes += size;
  }
  if (bytes > MAX_RECEIPT_TEXT) throw invalid('anchors', `${bytes} bytes; ${MAX_RECEIPT_TEXT} are the most`);
}

/** Why JSON could not be written back as it was read, or not be read again; null where it can. */
function boundsFault(json: unknown, levels: number): string | null {
  if (typeof json === 'number') return Number.isFinite(json) ? null : 'a number too large for JSON';
  if (typeof json !== 'object' || json === null) return null;
  if (levels === 0) return TOO_DEEP;
  for (const each of Object.values(json)) {
    const fault = boundsFault(each, levels - 1);
    if (fault !== null) return fault;
  }
  return null;
}

type Issues = z.core.$ZodError['issues'];

/** The error for the first issue; of an anchor, for the first issue with its own type. */
function malformed(issues: Issues, above: readonly PropertyKey[] = []): FormatError {
  const [issue] = issues;
  const at = [...above, ...(issue?.path ?? [])];
  if (issue?.code === 'invalid_union' && issue.errors.length > 0) {
    const ownType = issue.errors.find(([first]) => first?.path[0] !== 'type') ?? issue.errors[0] ?? [];
    return malformed(ownType, at);
  }
  const path = at.map(String);
  if (issue?.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const why = path.length === 0 && key === 'anchors' ? 'no anchors without a round' : 'no such field in a receipt';
    return invalid([...path, excerpt(key)].join('.'), why);
  }
  return invalid(path.join('.'), issue?.message === 'Invalid input' ? 'missing or of another type' : issue?.message);
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
  return chain.startsWith('eip155:') ? prefixedHex(hash) : toHex(hash);
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
  /** 32 bytes: where the steps lead. The verifier compares it with `round.root`. */
  readonly root: Uint8Array;
}

/**
 * The path that a contract walks: to the root of the receipt's round and, where the receipt says how, on to that of a later
 * round, which the contract has stored.
 * @throws those of `receiptPath`; FormatError `path-length`, `path-cut`
 */
export function storedReceiptPath(receipt: Receipt): ReceiptPath {
  const { digest, steps, root } = receiptPath(receipt);
  if (!('round' in receipt) || receipt.storedPath === undefined) return { digest, steps, root };
  const further = unpackPath(fromHex(receipt.storedPath.path.slice(2)));
  return { digest, steps: [...steps, ...further], root: walkPath(root, further) };
}

/**
 * The path of design section 1 from the receipt's digest to the root of its round.
 * @throws AntequemError `receipt-pending` before the round has closed
 * @throws FormatError `path-length` where a path has the wrong length
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
