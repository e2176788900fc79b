import { equalBytes } from '../../core/bytes.ts';
import { CompactRange } from '../../core/compact-range.ts';
import { TILE_WIDTH, tileWidth } from '../../core/tiles.ts';
import { MAX_BUNDLE, MAX_TILE, type TilePlace, tileOfLog } from './layout.ts';
import type { AuditSource } from './source.ts';

/** A tile or bundle, as wide as it is in a tree of `size` leaves or wider; null where there is none. */
export async function readTile(
  source: AuditSource,
  log: string,
  place: Pick<TilePlace, 'level' | 'index'>,
  size: number,
): Promise<Uint8Array | null> {
  const level = place.level === 'entries' ? 0 : place.level;
  const most = place.level === 'entries' ? MAX_BUNDLE : MAX_TILE;
  const width = tileWidth(level, place.index, size);
  const found = await source.read(tileOfLog(log, { ...place, width }), most);
  // Whoever keeps the complete tile may drop the partial ones (C2SP tlog-tiles).
  if (found !== null || width === TILE_WIDTH) return found;
  return source.read(tileOfLog(log, { ...place, width: TILE_WIDTH }), most);
}

/**
 * The right edge of the tree of the first `at` leaves, from the tiles of a larger one; null where they are not there, or
 * do not make this root.
 */
export async function fetchCompactRange(
  source: AuditSource,
  log: string,
  at: { readonly size: number; readonly root: Uint8Array },
  size: number,
): Promise<CompactRange | null> {
  const partials: Uint8Array[] = [];
  for (let nodes = at.size; nodes > 0; nodes = Math.floor(nodes / TILE_WIDTH)) {
    const length = (nodes % TILE_WIDTH) * 32;
    const place = { level: partials.length, index: Math.floor(nodes / TILE_WIDTH) };
    const tile = length === 0 ? new Uint8Array(0) : await readTile(source, log, place, size);
    if (tile === null || tile.length < length) return null;
    partials.push(new Uint8Array(tile.subarray(0, length)));
  }
  const range = CompactRange.restore(at.size, partials);
  return equalBytes(range.root(), at.root) ? range : null;
}
