// Compares two views of one service. Two checkpoints of a log that do not continue one another, or two different rounds with one
// number, are a split view.

import { equalBytes, toHex } from '../../core/bytes.ts';
import { parseCheckpoint } from '../../core/checkpoint.ts';
import { AntequemError, parsed } from '../../core/errors.ts';
import { consistencyRanges, foldRight, inclusionRanges, perfectNodes, type Range } from '../../core/merkle.ts';
import { parseNote } from '../../core/note.ts';
import { verifyConsistency, verifyInclusion } from '../../core/proof.ts';
import { nodeFromTile, TILE_WIDTH, tileOfNode } from '../../core/tiles.ts';
import type { Findings } from '../checks/findings.ts';
import { readService, readShownRound } from './answers.ts';
import { checkpointPath, MAX_CHECKPOINT } from './layout.ts';
import type { ShownLog } from './shown-logs.ts';
import type { AuditSource } from './source.ts';
import { readTile } from './tiles.ts';

export interface ComparisonOptions {
  /** The audited view. */
  readonly source: AuditSource;
  readonly against: AuditSource;
  readonly findings: Findings;
  readonly serviceOrigin: string;
  readonly logs: readonly ShownLog[];
  /** The newest round of the audited view; null: no rounds were read. */
  readonly rounds: number | null;
  readonly onProgress: (at: string, entries: number, total: number) => void;
}

/** One view of a log. */
interface View {
  readonly source: AuditSource;
  readonly size: number;
  readonly root: Uint8Array;
}

/** @returns how much was compared. @throws AntequemError `mirror-other-service` */
export async function compareViews(
  options: ComparisonOptions,
): Promise<{ readonly with: string; readonly logs: number; readonly rounds: number }> {
  const { source, against, findings, logs, onProgress } = options;
  let compared = 0;
  for (const log of logs) {
    onProgress(`${log.name} against ${against.describe()}`, 0, 0);
    const other = log.broken ? null : await readView(against, log, findings);
    if (other === null) continue;
    compared++;
    await compareLog(log, { source, size: log.position.size, root: log.position.root }, other, findings);
  }
  return { with: against.describe(), logs: compared, rounds: await compareRounds(options) };
}

/** A checkpoint that the log signed; null: there is none to compare with. */
async function readView(source: AuditSource, log: ShownLog, findings: Findings): Promise<View | null> {
  const bytes = await source.read(checkpointPath(log.name), MAX_CHECKPOINT);
  if (bytes === null) return null;
  const note = parsed(() => parseNote(Buffer.from(bytes).toString('utf8')));
  const checkpoint = note === null ? null : parsed(() => parseCheckpoint(note.text));
  if (note === null || checkpoint?.origin !== log.origin || (await log.keys.faultOf(note)) !== null) {
    const says = `${source.describe()} has a checkpoint of ${log.name} that its key did not sign`;
    findings.add('signature-broken', { log: log.name }, says);
    return null;
  }
  return { source, size: checkpoint.size, root: checkpoint.root };
}

async function compareLog(log: ShownLog, here: View, there: View, findings: Findings): Promise<void> {
  const [shorter, longer] = here.size <= there.size ? [here, there] : [there, here];
  if (shorter.size === 0 || (await continues(log.name, shorter, longer))) return;
  const index = await firstDifference(log.name, here, there, shorter.size);
  for (const view of [here, there]) {
    if (index !== null && (await holds(log.name, view, index))) continue;
    // Tiles that do not make the signed root show nothing about the log.
    const says = `the tiles of ${log.name} in ${view.source.describe()} do not make its checkpoint of ${view.size} entries`;
    findings.add('tile-differs', { log: log.name }, says);
    return;
  }
  const sizes = `checkpoints of ${log.name} with ${here.size} and ${there.size} entries`;
  const says = `${here.source.describe()} and ${there.source.describe()} have signed ${sizes} that differ from entry ${index} on`;
  findings.add('view-split', { log: log.name, index }, says);
}

async function continues(log: string, shorter: View, longer: View): Promise<boolean> {
  if (shorter.size === longer.size) return equalBytes(shorter.root, longer.root);
  const path = await ranges(log, longer, consistencyRanges(shorter.size, longer.size));
  return path !== null && verifyConsistency(shorter.size, longer.size, path, shorter.root, longer.root);
}

/** Each entry names the one before, so that all entries after the first difference differ: binary search finds it. */
async function firstDifference(log: string, a: View, b: View, size: number): Promise<number | null> {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [one, other] = await Promise.all([leafAt(log, a, middle), leafAt(log, b, middle)]);
    if (one === null || other === null) return null;
    if (equalBytes(one, other)) low = middle + 1;
    else high = middle;
  }
  return low === size ? null : low;
}

/** Whether the view's root covers what it has at an index. */
async function holds(log: string, view: View, index: number): Promise<boolean> {
  const leaf = await leafAt(log, view, index);
  const path = await ranges(log, view, inclusionRanges(index, view.size));
  return leaf !== null && path !== null && verifyInclusion(leaf, index, view.size, path, view.root);
}

async function leafAt(log: string, { source, size }: View, index: number): Promise<Uint8Array | null> {
  const tile = await readTile(source, log, { level: 0, index: Math.floor(index / TILE_WIDTH) }, size);
  const at = 32 * (index % TILE_WIDTH);
  return tile === null || tile.length < at + 32 ? null : tile.slice(at, at + 32);
}

/** The roots of ranges of a log, from the view's tiles; null: a tile is missing. */
export async function ranges(
  log: string,
  { source, size }: Pick<View, 'source' | 'size'>,
  wanted: readonly Range[],
): Promise<Uint8Array[] | null> {
  const roots: Uint8Array[] = [];
  for (const range of wanted) {
    const hashes: Uint8Array[] = [];
    for (const node of perfectNodes(range)) {
      const slice = tileOfNode(node);
      const tile = await readTile(source, log, slice, size);
      if (tile === null || tile.length < 32 * (slice.offset + slice.hashes)) return null;
      hashes.push(nodeFromTile(tile, slice));
    }
    roots.push(foldRight(hashes));
  }
  return roots;
}

/** @returns how many rounds are the same in both */
async function compareRounds(options: ComparisonOptions): Promise<number> {
  const { source, against, findings, serviceOrigin, rounds } = options;
  const other = await readService(against);
  if (other !== null && other.origin !== serviceOrigin) {
    throw new AntequemError(
      'mirror-other-service',
      `${against.describe()} is a mirror of ${other.origin}, not of ${serviceOrigin}`,
    );
  }
  const common = Math.min(other?.rounds ?? 0, rounds ?? 0);
  const same = async (number: number): Promise<boolean> => {
    const [one, two] = await Promise.all([rootOf(source, number), rootOf(against, number)]);
    return one === two;
  };
  // A round names the one before: if the newest is the same, all are.
  if (common === 0 || (await same(common))) return common;
  let low = 1;
  let high = common;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await same(middle)) low = middle + 1;
    else high = middle;
  }
  const [here, there] = await Promise.all([rootOf(source, low), rootOf(against, low)]);
  const says = `round ${low} has the root ${here} in ${source.describe()} and ${there} in ${against.describe()}`;
  findings.add('rounds-split', { round: low }, says);
  return low - 1;
}

async function rootOf(source: AuditSource, number: number): Promise<string> {
  const found = await readShownRound(source, number);
  return typeof found === 'string' ? `(${found})` : toHex(Buffer.from(found.answer.root, 'hex'));
}
