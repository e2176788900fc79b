import { compareBytes, equalBytes } from '../../core/bytes.ts';
import type { CompleteTile } from '../../core/compact-range.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { Findings } from './findings.ts';

/** A tile as it is stored or served. */
export interface StoredTile {
  readonly level: number;
  readonly index: number;
  /** As it is stored beside the hashes. */
  readonly root: Uint8Array;
  /** Null: they are in an archive, and are not known. */
  readonly hashes: Uint8Array | null;
  /** The last of them, where it is stored beside the root. */
  readonly lastLeaf?: Uint8Array;
}

/** Compares tiles with those that the entries make. */
export function checkTiles(
  log: string,
  made: readonly CompleteTile[],
  stored: readonly StoredTile[],
  findings: Findings,
): void {
  const byPlace = new Map(stored.map((tile) => [`${tile.level}/${tile.index}`, tile]));
  for (const tile of made) {
    const place = `${tile.level}/${tile.index}`;
    const width = TILE_WIDTH ** tile.level;
    const first = tile.index * TILE_WIDTH * width;
    const found = byPlace.get(place);
    if (found === undefined) {
      findings.add('tile-missing', { log, index: first }, `tile ${place} of ${log} is missing`);
    } else if (found.hashes !== null && compareBytes(found.hashes, tile.hashes) !== 0) {
      const index = first + firstDifference(found.hashes, tile.hashes) * width;
      const says = `tile ${place} of ${log} has another hash than the entries make, the first for entry ${index}`;
      findings.add('tile-differs', tile.level === 0 ? { log, index } : { log, index, until: index + width }, says);
    } else if (!equalBytes(found.root, tile.root)) {
      const says =
        found.hashes === null
          ? `the root of tile ${place} of ${log} is not the root of what the entries make`
          : `the root of tile ${place} of ${log} is not the root of its hashes`;
      findings.add('tile-differs', { log, index: first }, says);
    } else if (found.lastLeaf !== undefined && !equalBytes(found.lastLeaf, tile.hashes.subarray(-HASH_SIZE))) {
      const says = `the leaf hash beside the root of tile ${place} of ${log} is not its last one`;
      findings.add('tile-differs', { log, index: first + TILE_WIDTH - 1 }, says);
    }
  }
}

/** Which of the 32-byte hashes is the first that differs. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at++;
  return Math.min(TILE_WIDTH - 1, Math.floor(at / 32));
}
