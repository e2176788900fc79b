// Where files are in a service, in a mirror of it and in a public archive (docs/formats.md, "Mirror"), and how large they may be.

import { TILE_WIDTH, tileLocation, tilePath } from '../../core/tiles.ts';

/** A tile or bundle as an audit asks for it: as wide as the tree at hand makes it. */
export type TilePlace = Parameters<typeof tileLocation>[0];

export const SERVICE = 'v1/audit/service';

/** What a public archive says of itself. */
export const MANIFEST = 'manifest.json';

export const MAX_SERVICE = 65_536;
/** Lists 1,000 logs with their keys at most. */
export const MAX_MANIFEST = 16 << 20;
/** Characters of the signed note in a leaf: its text of 390 at most, and a line of 420 at most for each key of the log. */
export const MAX_NOTE = 8_192;
/** The newest has a line for each of up to 32 witnesses besides, of 4 KiB at most (by ML-DSA-44, with a long name). */
export const MAX_CHECKPOINT = MAX_NOTE + 32 * 4_096;
export const MAX_TILE = TILE_WIDTH * 32;
/** Entries have 73 bytes, each after two bytes of length. */
export const MAX_BUNDLE = TILE_WIDTH * 75;
/** 256 acts; a key for very many logs is the longest. */
export const MAX_ACTS = 16 << 20;
/** 256 leaves with their checkpoints, and anchors with their proofs. */
export const MAX_ROUND = 8 << 20;
/** 256 leaves with their checkpoints, in which a character has three bytes at most. */
export const MAX_LEAVES = TILE_WIDTH * (3 * MAX_NOTE + 2_048);
/** Digests in a round: a service takes 50,000; one of another release may take some more. */
export const MOST_DIGESTS = 1 << 17;
/** Leaves of a round that are read where it is not known how many logs there are. */
export const MOST_LEAVES = 1 << 22;

export function checkpointPath(log: string): string {
  return `logs/${log}/checkpoint`;
}

export function tileOfLog(log: string, tile: TilePlace): string {
  return `logs/${log}/${tileLocation(tile)}`;
}

/** Payloads of 256 entries of `_system`, or of fewer where there are no more. */
export function actsPath(index: number, width: number): string {
  return `v1/audit/acts/${tileLocation({ level: 'entries', index, width }).slice('tile/entries/'.length)}`;
}

export function roundPath(number: number): string {
  return `v1/audit/rounds/${tilePath(number)}`;
}

/** In a public archive: a round without its leaves, with root, link and anchors. */
export function rootPath(round: number): string {
  return `rounds/${tilePath(round)}`;
}

/** Leaves that a bundle of a round of `size` has, neither fewer nor more. */
export function leavesIn(bundle: number, size: number): number {
  return Math.min(TILE_WIDTH, size - bundle * TILE_WIDTH);
}

/** Leaves 256 · `bundle` and on; those of bundle 0 stand in the round itself. */
export function leavesPath(number: number, bundle: number): string {
  return `${roundPath(number)}.leaves/${tilePath(bundle)}`;
}
