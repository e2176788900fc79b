// C2SP tlog-tiles: tiles of height 8.

import { concat, excerpt } from './bytes.ts';
import { FormatError } from './errors.ts';
import { HASH_SIZE, type Node, perfectRoot } from './merkle.ts';

export const TILE_WIDTH = 256;
export const TILE_HEIGHT = 8;
/** The highest level of tiles in a tree below 2^53 leaves. */
export const MAX_TILE_LEVEL = 6;

/** N in groups of three digits, all but the last after an `x`: 1234067 → `x001/x234/067`. */
export function tilePath(index: number): string {
  if (!Number.isSafeInteger(index) || index < 0) throw new FormatError('tile-path', `not a tile index: ${index}`);
  const digits = index.toString();
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/\d{3}/g) ?? [];
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

/** The index of a tile path; null where it is not the canonical path of a number below 2^53. */
export function parseTilePath(path: string): number | null {
  if (!/^(?:x\d{3}\/){0,5}\d{3}$/.test(path)) return null;
  const index = Number(path.replaceAll('x', '').replaceAll('/', ''));
  return Number.isSafeInteger(index) && tilePath(index) === path ? index : null;
}

/** How many hashes tile `index` of `level` has in a tree of `size` leaves: 0–256. */
export function tileWidth(level: number, index: number, size: number): number {
  const nodes = Math.floor(size / TILE_WIDTH ** level);
  return Math.max(0, Math.min(TILE_WIDTH, nodes - index * TILE_WIDTH));
}

/** The hashes of a tile that a perfect subtree is computed from: `hashes` of them, starting at `offset`. */
export interface TileSlice {
  readonly level: number;
  readonly index: number;
  readonly offset: number;
  readonly hashes: number;
}

/** The tile that holds a node: the node itself, or the 2^(level mod 8) hashes below it. */
export function tileOfNode(node: Node): TileSlice {
  const level = Math.floor(node.level / TILE_HEIGHT);
  const hashes = 2 ** (node.level % TILE_HEIGHT);
  const first = node.index * hashes;
  return { level, index: Math.floor(first / TILE_WIDTH), offset: first % TILE_WIDTH, hashes };
}

/** The hash of a node out of its tile's bytes. @throws FormatError `tile-short` when the tile does not reach so far */
export function nodeFromTile(tile: Uint8Array, slice: TileSlice): Uint8Array {
  const end = (slice.offset + slice.hashes) * HASH_SIZE;
  if (tile.length < end) throw new FormatError('tile-short', `tile ${slice.level}/${slice.index} is too short`);
  return perfectRoot(tile.subarray(slice.offset * HASH_SIZE, end));
}

/** An entry bundle: each entry with its length before it, a big-endian u16. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  return concat(
    ...entries.flatMap((entry) => {
      if (entry.length > 0xffff) throw new FormatError('bundle-entry', 'an entry of a bundle has 65,535 bytes at most');
      return [new Uint8Array([entry.length >> 8, entry.length & 0xff]), entry];
    }),
  );
}

/** The entries of a bundle of at most 256. @throws FormatError `bundle-invalid` */
export function parseBundle(bytes: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const high = bytes[offset];
    const low = bytes[offset + 1];
    if (high === undefined || low === undefined) throw new FormatError('bundle-invalid', 'a length is cut short');
    const end = offset + 2 + high * 256 + low;
    if (end > bytes.length) throw new FormatError('bundle-invalid', 'an entry is cut short');
    entries.push(bytes.slice(offset + 2, end));
    if (entries.length > TILE_WIDTH) throw new FormatError('bundle-invalid', 'more than 256 entries');
    offset = end;
  }
  return entries;
}

/** `tile/<L>/<N>[.p/<W>]` below a log's origin; level `entries` for a bundle. */
export function tileLocation(tile: { level: number | 'entries'; index: number; width: number }): string {
  const partial = tile.width < TILE_WIDTH ? `.p/${tile.width}` : '';
  return `tile/${tile.level}/${tilePath(tile.index)}${partial}`;
}

/** The tile that a location names, on any level up to 63. @throws FormatError `tile-location` */
export function parseTileLocation(location: string): { level: number | 'entries'; index: number; width: number } {
  const match = /^tile\/(entries|[0-9]|[1-5][0-9]|6[0-3])\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(
    location,
  );
  const index = match === null ? null : parseTilePath(match[2] ?? '');
  const width = match?.[3] === undefined ? TILE_WIDTH : Number(match[3]);
  if (match === null || index === null || width > TILE_WIDTH || (match[3] !== undefined && width === TILE_WIDTH)) {
    throw new FormatError('tile-location', `not a tile: ${excerpt(location)}`);
  }
  return { level: match[1] === 'entries' ? 'entries' : Number(match[1]), index, width };
}
