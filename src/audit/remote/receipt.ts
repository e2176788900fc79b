// Receipts out of a mirror: what stands in it leads from whoever holds an entry's digest and nonce to the anchors.

import { equalBytes, fromHex, toHex } from '../../core/bytes.ts';
import { parseCheckpoint } from '../../core/checkpoint.ts';
import { commitTo, ENTRY_SIZE, type Entry, parseEntry } from '../../core/entry.ts';
import { AntequemError } from '../../core/errors.ts';
import { consistencyRanges, hashLeaf, inclusionRanges, MerkleTree } from '../../core/merkle.ts';
import { parseNote } from '../../core/note.ts';
import { logId, logOrigin } from '../../core/origin.ts';
import { verifyInclusion } from '../../core/proof.ts';
import { parseReceipt, RECEIPT_FORMAT, type Receipt, receiptLeafHash, receiptPath } from '../../core/receipt.ts';
import { fittingAnchors, mergeReceipt } from '../../core/receipt-merge.ts';
import { parseCheckpointLeaf } from '../../core/round.ts';
import { parseBundle, TILE_WIDTH } from '../../core/tiles.ts';
import { formatTime, parseTime } from '../../core/time.ts';
import { type LeafAnswer, readShownLeaves, readShownRound, type ShownRound } from './answers.ts';
import { readBareRound, readPlace } from './archive.ts';
import { ranges } from './comparison.ts';
import { checkpointPath, leavesIn, MAX_CHECKPOINT, MOST_LEAVES } from './layout.ts';
import type { AuditSource } from './source.ts';
import { readTile } from './tiles.ts';

/** What the holder of an entry has, and the mirror does not: 32 bytes, and 16 or none. */
export interface Secret {
  readonly digest: Uint8Array;
  readonly nonce: Uint8Array;
}

/** A round with the leaf of a log. */
interface Covering {
  readonly round: ShownRound;
  /** Hashes of its leaves. */
  readonly hashes: readonly Uint8Array[];
  readonly index: number;
  readonly size: number;
  readonly note: string;
}

/**
 * The receipt of an entry with all that the mirror can prove, checked down to the root of its round. It ends before the round
 * where that is an archive without the leaves of rounds.
 * @throws AntequemError `service-unknown`, `log-not-found`, `entry-not-found`; `commitment-differs` where digest and nonce
 *   are not those of the entry; `mirror-damaged`
 */
export async function composeReceipt(
  source: AuditSource,
  log: string,
  index: number,
  secret: Secret,
): Promise<Receipt> {
  const place = await readPlace(source);
  if (place === null) {
    throw new AntequemError(
      'service-unknown',
      `${source.describe()} is neither a finished mirror nor an archive of an Antequem service`,
    );
  }
  const origin = logOrigin(place.origin, log);
  const head = await readHead(source, log);
  const entry = await readEntry(source, log, index, head.size);
  if (!equalBytes(commitTo(secret.digest, secret.nonce), entry.commitment)) {
    throw new AntequemError(
      'commitment-differs',
      `digest and nonce are not those of entry ${index} of ${log}: its receipt, or the answer to its append, has them`,
    );
  }
  const covering = place.leaves ? await findRound(source, origin, index, entry.receivedAt, place.rounds) : null;
  const treeSize = covering?.size ?? head.size;
  const path = await ranges(log, { source, size: head.size }, inclusionRanges(index, treeSize));
  if (path === null) throw damaged(source, `tiles of ${log} are missing`);
  const receipt = parseReceipt({
    format: RECEIPT_FORMAT,
    entry: {
      log: origin,
      index,
      receivedAt: formatTime(entry.receivedAt),
      digest: toHex(secret.digest),
      nonce: toHex(secret.nonce),
      previous: toHex(entry.previous),
    },
    inclusion: { treeSize, path: path.map(toHex) },
    checkpoint: covering?.note ?? head.note,
    ...(covering === null ? {} : roundOf(covering)),
  });
  check(source, receipt, path);
  return receipt;
}

/** The proof that one tree of the log continues the other; null where the mirror does not reach so far. */
export async function consistencyOf(
  source: AuditSource,
  log: string,
  one: number,
  other: number,
): Promise<{ readonly path: readonly string[] } | null> {
  const [from, to] = [Math.min(one, other), Math.max(one, other)];
  const { size } = await readHead(source, log);
  const path = to > size ? null : await ranges(log, { source, size }, consistencyRanges(from, to));
  return path === null ? null : { path: path.map(toHex) };
}

/** A receipt with the anchors that an archive has of its round, which it knows from elsewhere. */
export async function withNewerAnchors(source: AuditSource, receipt: Receipt): Promise<Receipt> {
  if (!('round' in receipt)) return receipt;
  const { number, root } = receipt.round;
  const found = await readBareRound(source, number);
  if (typeof found === 'string' || found.root !== root) return receipt;
  return mergeReceipt(receipt, { ...receipt, anchors: fittingAnchors(found.anchors) }, null).receipt;
}

async function readHead(source: AuditSource, log: string): Promise<{ size: number; note: string }> {
  const bytes = await source.read(checkpointPath(log), MAX_CHECKPOINT);
  if (bytes === null) throw new AntequemError('log-not-found', `${source.describe()} has no log ${log}`);
  const note = Buffer.from(bytes).toString('utf8');
  return { size: parseCheckpoint(parseNote(note).text).size, note };
}

async function readEntry(source: AuditSource, log: string, index: number, size: number): Promise<Entry> {
  if (index >= size) {
    throw new AntequemError(
      'entry-not-found',
      `the log ${log} has ${size} entries in ${source.describe()}, not ${index}`,
    );
  }
  const bundle = await readTile(source, log, { level: 'entries', index: Math.floor(index / TILE_WIDTH) }, size);
  const bytes = bundle === null ? undefined : parseBundle(bundle)[index % TILE_WIDTH];
  if (bytes?.length !== ENTRY_SIZE) throw damaged(source, `the bundle with entry ${index} of ${log} is missing`);
  return parseEntry(bytes);
}

/** The first round that has the entry; null where none has yet. */
async function findRound(
  source: AuditSource,
  origin: string,
  index: number,
  receivedAt: number,
  newest: number,
): Promise<Covering | null> {
  // No round closes before what it has was received, and none later than another after it.
  let low = 1;
  let high = newest + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (parseTime((await roundAt(source, middle)).closedAt) < receivedAt) low = middle + 1;
    else high = middle;
  }
  const id = logId(origin);
  for (let number = low; number <= newest; number++) {
    const round = await roundAt(source, number);
    const hashes: Uint8Array[] = [];
    let place: Pick<Covering, 'index' | 'size' | 'note'> | null = null;
    for await (const { leaf: hex, checkpoint } of allLeaves(source, round)) {
      const leaf = fromHex(hex);
      hashes.push(hashLeaf(leaf));
      if (place !== null || leaf[0] !== 0x81 || checkpoint === undefined) continue;
      const { logId, size } = parseCheckpointLeaf(leaf);
      if (size > index && equalBytes(logId, id)) place = { index: hashes.length - 1, size, note: checkpoint };
    }
    if (place !== null) return { round, hashes, ...place };
  }
  return null;
}

async function roundAt(source: AuditSource, number: number): Promise<ShownRound> {
  const found = await readShownRound(source, number);
  if (typeof found === 'string') throw damaged(source, `round ${number} is ${found}`);
  return found.answer;
}

/** Bundle by bundle, each as full as it must be. */
async function* allLeaves(source: AuditSource, { number, size, leaves }: ShownRound): AsyncGenerator<LeafAnswer> {
  if (size > MOST_LEAVES) throw damaged(source, `round ${number} tells of ${size} leaves`);
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++) {
    const found = bundle === 0 ? { leaves } : await readShownLeaves(source, number, bundle);
    if (found?.leaves.length !== leavesIn(bundle, size)) throw damaged(source, `leaves of round ${number} are missing`);
    yield* found.leaves;
  }
}

function roundOf({ round, hashes, index }: Covering): object {
  const tree = new MerkleTree(Buffer.concat(hashes));
  const { number, closedAt, root, size, previousRoot, beacons, anchors } = round;
  const link = { previousRoot, beacons, path: tree.inclusionPath(0).map(toHex) };
  return {
    round: { number, closedAt, root, size, index, path: tree.inclusionPath(index).map(toHex), link },
    anchors: fittingAnchors(anchors),
  };
}

/** What does not hold together is not handed out. */
function check(source: AuditSource, receipt: Receipt, path: readonly Uint8Array[]): void {
  const { entry, inclusion, checkpoint } = receipt;
  const { root } = parseCheckpoint(parseNote(checkpoint).text);
  const leaf = receiptLeafHash(receipt);
  if (!verifyInclusion(leaf, entry.index, inclusion.treeSize, path, root)) {
    throw damaged(source, `entry ${entry.index} does not stand in the checkpoint of ${inclusion.treeSize} entries`);
  }
  if ('round' in receipt && toHex(receiptPath(receipt).root) !== receipt.round.root) {
    throw damaged(source, `the entry does not lead to the root of round ${receipt.round.number}`);
  }
}

function damaged(source: AuditSource, what: string): AntequemError {
  return new AntequemError('mirror-damaged', `${source.describe()} is damaged (${what}): audit it`);
}
