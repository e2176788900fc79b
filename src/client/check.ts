// What a client can check of the service's answers, by WebCrypto, which is wherever fetch is.

import { concat, fromHex, toBase64, toHex, u64 } from '../core/bytes.ts';
import { AntequemError, FormatError } from '../core/errors.ts';
import { parseTime } from '../core/time.ts';
import type { AppendAnswer } from './answers.ts';
import { type CheckedReceipt, isReceipt } from './receipt.ts';

/** One entry that is durable. */
export interface AppendedEntry {
  /** Origin of the log. */
  readonly log: string;
  readonly index: number;
  /** SHA-256 of the entry in hex, computed here. */
  readonly digest: string;
  readonly receivedAt: string;
  /** As the service answered; null where it was not the last of its batch. */
  readonly leafHash: string | null;
}

/** What an application stores of an entry: enough to fetch its receipt at any time, and to check that it is the right one. */
export type KeptEntry = Pick<AppendedEntry, 'log' | 'index' | 'digest'> &
  Partial<Pick<AppendedEntry, 'receivedAt' | 'leafHash'>>;

/** What was sent in one request, and the answer before it. */
export interface Expected {
  /** SHA-256 of each entry in hex. */
  readonly digests: readonly string[];
  /** The last answer about the log; null: this is the first. */
  readonly before: AppendAnswer | null;
}

/** SHA-256 in hex. */
export async function sha256Hex(bytes: Uint8Array): Promise<string> {
  return toHex(await sha256(bytes));
}

/**
 * The entries of an answer, if it agrees with what was sent and with the answers before: the number of entries, the
 * digest, an index after all earlier ones, a time not before theirs.
 * @throws AntequemError `answer-contradicts`
 */
export function checkAppended(answer: AppendAnswer, { digests, before }: Expected): AppendedEntry[] {
  if (answer.count !== digests.length)
    throw contradiction(`it counts ${answer.count} entries, ${digests.length} were sent`);
  if (answer.digest !== digests.at(-1)) throw contradiction('the digest is not that of what was sent');
  if (before !== null) {
    if (answer.log !== before.log) throw contradiction(`the log is ${answer.log}, and was ${before.log}`);
    if (answer.index < before.index + before.count) {
      throw contradiction(
        `the index is ${answer.index}, and entries up to ${before.index + before.count - 1} stood there`,
      );
    }
    if (parseTime(answer.receivedAt) < parseTime(before.receivedAt)) {
      throw contradiction(`it was received at ${answer.receivedAt}, before ${before.receivedAt}`);
    }
  }
  return digests.map((digest, i) => ({
    log: answer.log,
    index: answer.index + i,
    digest,
    receivedAt: answer.receivedAt,
    leafHash: i === digests.length - 1 ? answer.leafHash : null,
  }));
}

/**
 * A receipt, if it is that of the entry: its digest, its place, its time and leaf hash where they are known, and a path from there to
 * the root of its checkpoint. Signatures and anchors are for `antequem/verify`.
 * @throws AntequemError `answer-contradicts`
 */
export async function checkReceipt(json: unknown, entry: KeptEntry): Promise<CheckedReceipt> {
  if (!isReceipt(json)) throw contradiction('it is not a receipt');
  const told = json.entry;
  if (told.log !== entry.log || told.index !== entry.index) {
    throw contradiction(`the receipt is that of entry ${told.index} of ${told.log}`);
  }
  if (told.digest !== entry.digest) throw contradiction('the receipt has another digest than what was sent');
  if (entry.receivedAt !== undefined && told.receivedAt !== entry.receivedAt)
    throw contradiction(`the receipt says received at ${told.receivedAt}`);
  try {
    await checkHashes(json, entry.leafHash ?? null);
  } catch (error) {
    if (error instanceof FormatError) throw contradiction(error.message);
    throw error;
  }
  return json;
}

async function checkHashes({ entry, inclusion, checkpoint }: CheckedReceipt, leafHash: string | null): Promise<void> {
  const commitment = await sha256(concat(fromHex(entry.digest), fromHex(entry.nonce)));
  // 0x00 of a leaf, 0x01 of the format of entries.
  const encoded = concat(Uint8Array.of(0, 1), u64(parseTime(entry.receivedAt)), fromHex(entry.previous), commitment);
  const leaf = await sha256(encoded);
  if (leafHash !== null && toHex(leaf) !== leafHash)
    throw contradiction('the leaf hash is not the one in the answer to the append');
  const root = await rootOf(leaf, entry.index, inclusion);
  const [origin, treeSize, rootText] = checkpoint.split('\n', 3);
  if (origin !== entry.log || treeSize !== String(inclusion.treeSize) || root === null || rootText !== toBase64(root)) {
    throw contradiction('the entry is not in the checkpoint');
  }
}

/** RFC 9162 section 2.1.3.2; null where the path has not the one length it can have. */
async function rootOf(
  leaf: Uint8Array,
  index: number,
  { treeSize, path }: CheckedReceipt['inclusion'],
): Promise<Uint8Array | null> {
  if (index >= treeSize) return null;
  let [node, last, hash] = [index, treeSize - 1, leaf];
  const siblings = path.map(fromHex);
  for (let at = 0; last > 0; node = Math.floor(node / 2), last = Math.floor(last / 2)) {
    if (node % 2 === 0 && node === last) continue;
    const sibling = siblings[at++];
    if (sibling === undefined || sibling.length !== 32) return null;
    const [left, right] = node % 2 === 1 ? [sibling, hash] : [hash, sibling];
    hash = await sha256(concat(Uint8Array.of(1), left, right));
    if (Math.floor(last / 2) === 0 && at !== siblings.length) return null;
  }
  return treeSize === 1 && siblings.length > 0 ? null : hash;
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
}

function contradiction(what: string): AntequemError {
  return new AntequemError('answer-contradicts', `the service's answer does not hold: ${what}`);
}
