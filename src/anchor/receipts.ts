import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { inclusionRanges } from '../core/merkle.ts';
import { type Anchor, formatBlockHash, RECEIPT_FORMAT, type Receipt } from '../core/receipt.ts';
import { formatTime } from '../core/time.ts';
import type { EntryReader } from '../log/entries.ts';
import type { Log } from '../log/log.ts';
import type { Publisher } from '../log/publish.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Queryable } from '../store/database.ts';
import type { Round } from './rounds.ts';
import type { RoundTrees } from './roundtrees.ts';

export interface ReceiptSources {
  readonly database: Queryable;
  readonly entries: EntryReader;
  readonly tiles: TileStore;
  readonly publisher: Publisher;
  readonly trees: RoundTrees;
  readonly anchors: (round: number) => Promise<Anchor[]>;
}

/** Composes the receipt of an entry with all that can be proven now, and no more. */
export class Receipts {
  readonly #sources: ReceiptSources;

  constructor(sources: ReceiptSources) {
    this.#sources = sources;
  }

  /** @throws AntequemError `entry-not-found`, `entry-erased` */
  async compose(log: Log, index: number): Promise<Receipt> {
    const { entries, publisher, anchors, trees } = this.#sources;
    const stored = await entries.read(log, index);
    if (stored === null) {
      throw new AntequemError('entry-not-found', `the log ${log.name} has no entry ${index} yet`);
    }
    if (stored.secret === null) {
      throw new AntequemError(
        'entry-erased',
        `entry ${index} of ${log.name} was erased: its digest and nonce are gone`,
      );
    }
    const entry = {
      log: log.origin,
      index,
      receivedAt: formatTime(stored.receivedAt),
      digest: toHex(stored.secret.digest),
      nonce: toHex(stored.secret.nonce),
      previous: toHex(await entries.previous(log, index)),
    };
    const covering = await this.#coveringRound(log, index);
    if (covering === null) {
      const checkpoint = await publisher.covering(log, index);
      const inclusion = await this.#inclusion(log, index, checkpoint.size);
      return { format: RECEIPT_FORMAT, entry, inclusion, checkpoint: checkpoint.note };
    }
    const checkpoint = await publisher.at(log, covering.size);
    if (checkpoint === null) {
      throw new AntequemError(
        'log-damaged',
        `the checkpoint of ${log.name} at size ${covering.size} is gone: run an audit`,
      );
    }
    const { round, tree } = await trees.read(covering.round);
    return {
      format: RECEIPT_FORMAT,
      entry,
      inclusion: await this.#inclusion(log, index, covering.size),
      checkpoint: checkpoint.note,
      round: {
        number: round.number,
        closedAt: formatTime(round.closedAt),
        root: toHex(round.root),
        size: round.size,
        index: covering.index,
        path: tree.inclusionPath(covering.index).map(toHex),
        link: {
          previousRoot: toHex(round.previousRoot),
          beacons: beaconsOf(round),
          path: tree.inclusionPath(0).map(toHex),
        },
      },
      anchors: await anchors(round.number),
    };
  }

  async #inclusion(log: Log, index: number, treeSize: number): Promise<{ treeSize: number; path: string[] }> {
    const path = await this.#sources.tiles.ranges(log, inclusionRanges(index, treeSize), treeSize);
    return { treeSize, path: path.map(toHex) };
  }

  /** The first round whose checkpoint of the log covers the entry. */
  async #coveringRound(log: Log, index: number): Promise<{ round: number; index: number; size: number } | null> {
    const { rows } = await this.#sources.database.query<{ round: number; index: number; size: number }>({
      name: 'covering-round',
      text: 'SELECT round, index, size FROM round_leaves WHERE log = $1 AND size > $2 ORDER BY size LIMIT 1',
      values: [log.id, index],
    });
    return rows[0] ?? null;
  }
}

/** The beacons of a round as JSON has them. */
export function beaconsOf(round: Round): { chain: string; height: number; hash: string }[] {
  return round.beacons.map(({ chain, height, hash }) => ({ chain, height, hash: formatBlockHash(chain, hash) }));
}
