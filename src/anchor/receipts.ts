import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { inclusionRanges, type MerkleTree } from '../core/merkle.ts';
import {
  type Anchor,
  formatBlockHash,
  type PendingReceipt,
  RECEIPT_FORMAT,
  type Receipt,
  type RoundReceipt,
} from '../core/receipt.ts';
import { formatTime } from '../core/time.ts';
import type { StoredEntry } from '../log/blocks/open-block.ts';
import type { EntryReader } from '../log/entries.ts';
import type { Log } from '../log/log.ts';
import type { Checkpoints, Published } from '../log/publish.ts';
import type { TileStore } from '../log/tilestore.ts';
import { Batch, inOrder } from '../store/batch.ts';
import type { Queryable } from '../store/database.ts';
import { type Covering, RECEIPTS_AT_ONCE, type ReceiptParts, readReceiptParts } from './receipt-parts.ts';
import type { Round } from './rounds.ts';
import type { RoundTrees } from './roundtrees.ts';

export interface ReceiptSources {
  readonly database: Queryable;
  readonly entries: EntryReader;
  readonly tiles: TileStore;
  readonly publisher: Checkpoints;
  readonly trees: RoundTrees;
  readonly anchors: (round: number) => Promise<Anchor[]>;
  /** How a contract can be asked about a round that it has not stored itself. */
  readonly storedPath?: (round: number) => Promise<RoundReceipt['storedPath']>;
}

interface EntryAt {
  readonly log: number;
  readonly index: number;
}

/** A receipt, and what tells whether something was erased since. */
export interface ComposedReceipt {
  readonly receipt: Receipt;
  /** Size and root of `_system` when the entry was read; null: it was empty. */
  readonly systemHead: string | null;
}

/** An entry and its place in a tree of its log. */
export interface PlacedEntry {
  readonly entry: Receipt['entry'];
  readonly treeSize: number;
  /** From the leaf's sibling up, 32 bytes each. */
  readonly path: readonly Uint8Array[];
}

/** Composes the receipt of an entry from what can be proven now. */
export class Receipts {
  readonly #sources: ReceiptSources;
  readonly #parts: Batch<EntryAt, ReceiptParts>;

  constructor(sources: ReceiptSources) {
    this.#sources = sources;
    this.#parts = new Batch((entries) => readReceiptParts(sources, entries), RECEIPTS_AT_ONCE);
  }

  /** @throws AntequemError `entry-not-found`, `entry-erased` */
  async compose(log: Log, index: number): Promise<Receipt> {
    return (await this.composeAsOf(log, index)).receipt;
  }

  /** The same, with the moment that it is of. */
  async composeAsOf(log: Log, index: number): Promise<ComposedReceipt> {
    const parts = await this.#parts.get({ log: log.id, index });
    return { receipt: await this.#composed(log, index, parts), systemHead: parts.systemHead };
  }

  async #composed(log: Log, index: number, { block, covering, checkpoint: recorded }: ReceiptParts): Promise<Receipt> {
    const { publisher, anchors, trees, entries } = this.#sources;
    const entry = entryOf(log, index, block === null ? null : await entries.chainedIn(log, block, index));
    if (covering === null) {
      return this.#upToCheckpoint(entry, log, await publisher.covering(log, index));
    }
    const [checkpoint, { round, tree }, inclusion, anchored, storedPath] = await Promise.all([
      publisher.at(log, covering.size, recorded),
      trees.read(covering.round),
      this.#inclusion(log, index, covering.size),
      anchors(covering.round),
      this.#sources.storedPath?.(covering.round),
    ]);
    if (checkpoint === null) throw checkpointGone(log, covering.size);
    return {
      format: RECEIPT_FORMAT,
      entry,
      inclusion,
      checkpoint: checkpoint.note,
      round: receiptRound(round, tree, covering.index),
      anchors: anchored,
      ...(storedPath === undefined ? {} : { storedPath }),
    };
  }

  /**
   * The receipt up to a checkpoint, without a round. A checkpoint that witnesses cosigned is preferred.
   * @throws AntequemError `entry-not-found`, `entry-erased`
   */
  async composeWitnessed(log: Log, index: number): Promise<PendingReceipt> {
    const entry = await this.#entry(log, index);
    return this.#upToCheckpoint(entry, log, await this.#sources.publisher.witnessed(log, index));
  }

  /**
   * The place of an entry in the tree of its receipt, or in a larger one if that has one leaf alone, whose paths are empty.
   * @throws AntequemError `entry-not-found`, `entry-erased`, `tree-of-one`
   */
  async place(log: Log, index: number): Promise<PlacedEntry> {
    const least = Math.max(index, 1);
    const [entry, [covering = null]] = await Promise.all([
      this.#entry(log, index),
      readCovering(this.#sources.database, [{ log: log.id, index: least }]),
    ]);
    const { size } = covering ?? (await this.#sources.publisher.covering(log, least));
    if (size < 2) {
      const says = `the log ${log.name} has one entry: a COSE receipt cannot say where it is until there is another`;
      throw new AntequemError('tree-of-one', says);
    }
    return { entry, treeSize: size, path: await this.#path(log, index, size) };
  }

  async #entry(log: Log, index: number): Promise<Receipt['entry']> {
    return entryOf(log, index, await this.#sources.entries.chained(log, index));
  }

  async #upToCheckpoint(entry: Receipt['entry'], log: Log, { size, note }: Published): Promise<PendingReceipt> {
    const inclusion = await this.#inclusion(log, entry.index, size);
    return { format: RECEIPT_FORMAT, entry, inclusion, checkpoint: note };
  }

  async #inclusion(log: Log, index: number, treeSize: number): Promise<{ treeSize: number; path: string[] }> {
    return { treeSize, path: (await this.#path(log, index, treeSize)).map(toHex) };
  }

  #path(log: Log, index: number, treeSize: number): Promise<Uint8Array[]> {
    return this.#sources.tiles.ranges(log, inclusionRanges(index, treeSize), treeSize);
  }
}

/** @throws AntequemError `entry-not-found`, `entry-erased` */
function entryOf(
  log: Log,
  index: number,
  chained: { readonly entry: StoredEntry; readonly previous: Uint8Array } | null,
): Receipt['entry'] {
  if (chained === null) {
    throw new AntequemError('entry-not-found', `the log ${log.name} has no entry ${index} yet`);
  }
  const { entry, previous } = chained;
  if (entry.secret === null) {
    throw new AntequemError('entry-erased', `entry ${index} of ${log.name} was erased: its digest and nonce are gone`);
  }
  return receiptEntry(log, entry, entry.secret, toHex(previous));
}

/** The entry in its receipt. @param previous leaf hash of the entry before, in hex */
export function receiptEntry(
  log: Log,
  { index, receivedAt }: StoredEntry,
  { digest, nonce }: NonNullable<StoredEntry['secret']>,
  previous: string,
): Receipt['entry'] {
  return {
    log: log.origin,
    index,
    receivedAt: formatTime(receivedAt),
    digest: toHex(digest),
    nonce: toHex(nonce),
    previous,
  };
}

/** The round in the receipt of an entry that leaf `index` covers. */
export function receiptRound(round: Round, tree: MerkleTree, index: number): RoundReceipt['round'] {
  return {
    number: round.number,
    closedAt: formatTime(round.closedAt),
    root: toHex(round.root),
    size: round.size,
    index,
    path: tree.inclusionPath(index).map(toHex),
    link: {
      previousRoot: toHex(round.previousRoot),
      beacons: beaconsOf(round),
      path: tree.inclusionPath(0).map(toHex),
    },
  };
}

export function checkpointGone(log: Log, size: number): AntequemError {
  return new AntequemError('log-damaged', `the checkpoint of ${log.name} at size ${size} is gone: run an audit`);
}

/** For each entry the first round whose checkpoint covers it; null: there is none yet. */
export async function readCovering(database: Queryable, entries: readonly EntryAt[]): Promise<(Covering | null)[]> {
  const { rows } = await database.query<Covering & { n: number }>({
    name: 'covering-rounds',
    text: `SELECT q.n::int, c.round, c.index, c.size
           FROM unnest($1::int[], $2::bigint[]) WITH ORDINALITY AS q (log, index, n) CROSS JOIN LATERAL (
             SELECT round, index, size FROM round_logs WHERE log = q.log AND size > q.index ORDER BY size LIMIT 1) c`,
    values: [entries.map(({ log }) => log), entries.map(({ index }) => index)],
  });
  return inOrder(rows, entries.length, ({ round, index, size }) => ({ round, index, size }));
}

/** The beacons of a round as JSON has them. */
export function beaconsOf(round: Round): { chain: string; height: number; hash: string }[] {
  return round.beacons.map(({ chain, height, hash }) => ({ chain, height, hash: formatBlockHash(chain, hash) }));
}
