// What retention erases in one transaction: archived blocks as a whole, or the contents of some blocks.

import { setImmediate as otherWork } from 'node:timers/promises';
import type { IndexRange } from '../core/index-ranges.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { Database, Transaction } from '../store/database.ts';
import { type BlockErasure, type ErasedEntry, readErasable, storeErasures, withoutEntries } from './block-erasure.ts';
import type { BlockArchive } from './blocks/archived-block.ts';
import type { Log } from './log.ts';
import { recallBlocks } from './recall.ts';
import { entriesOf, eraseWhole, wholeBlocks } from './whole-blocks.ts';

const STEP_BLOCKS = 64;
const STEP_BYTES = 16 << 20;

/**
 * Brings back from the archive what the next step erases, and no more: the database need not have room for the whole range.
 * Blocks that the range covers as a whole stay where they are.
 * @throws AntequemError as {@link recallBlocks}
 */
export async function recallForStep(
  database: Database,
  archive: BlockArchive | null,
  log: Log,
  [begin, end]: IndexRange,
): Promise<void> {
  const [whole] = await wholeBlocks(database, log, [begin, end]);
  const stepEnd = Math.min(end, begin + STEP_BLOCKS * TILE_WIDTH, whole?.first ?? end);
  await recallBlocks(database, archive, log, [begin, stepEnd]);
}

/** What one step erases. */
export interface ErasureStep {
  /** Index behind the last entry of the step. */
  readonly reached: number;
  readonly gone: readonly ErasedEntry[];
  /** Under the lock of the log's row. @returns false: a block was changed since it was read */
  readonly store: () => Promise<boolean>;
}

/** @param range entries that are erased from the first on */
export async function erasureStep(tx: Transaction, log: Log, range: IndexRange): Promise<ErasureStep> {
  return (await wholeStep(tx, log, range)) ?? blockStep(tx, log, range);
}

/** Archived blocks at the beginning of the range that it covers as a whole; null: there are none. */
async function wholeStep(tx: Transaction, log: Log, range: IndexRange): Promise<ErasureStep | null> {
  const blocks = await wholeBlocks(tx, log, range);
  const last = blocks.at(-1);
  if (last === undefined || blocks[0]?.first !== range[0]) return null;
  return {
    reached: last.first + last.count,
    gone: entriesOf(blocks),
    store: () => eraseWhole(tx, log, blocks),
  };
}

async function blockStep(tx: Transaction, log: Log, range: IndexRange): Promise<ErasureStep> {
  const blocks = await readErasable(tx, log, range, { most: STEP_BLOCKS, bytes: STEP_BYTES });
  const [begin, end] = range;
  let reached = begin;
  const erasures: BlockErasure[] = [];
  for (const block of blocks) {
    if (block.first > reached) break;
    const erasure = withoutEntries(block, range);
    if (erasure !== null) erasures.push(erasure);
    // Requests that this process serves do not wait for all of them.
    await otherWork();
    reached = block.first + block.count;
  }
  return {
    reached: Math.min(reached, end),
    gone: erasures.flatMap((erasure) => erasure.gone),
    store: () => storeErasures(tx, log, erasures),
  };
}
