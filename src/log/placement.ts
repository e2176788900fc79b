// What a group of submissions becomes at the end of a log: its leaf hashes, the tree with them, and the new head.

import { sha256Into } from '#sha256';
import { writeU64 } from '../core/bytes.ts';
import type { CompactRange, CompleteTile } from '../core/compact-range.ts';
import { ENTRY_SIZE } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import type { StoredContent } from './blocks/block.ts';
import type { EntryRun } from './blocks/fresh-blocks.ts';
import type { Appended, Log, LogHead } from './log.ts';
import { nonceSizeOf, type Prepared } from './prepared.ts';

/** A head with what the next entry is chained to. */
export interface ChainedHead extends LogHead {
  readonly lastLeaf: Uint8Array;
  /** Milliseconds. */
  readonly lastReceivedAt: number;
}

export interface Placement {
  /** The head before. */
  readonly from: ChainedHead;
  readonly head: ChainedHead;
  /** Leaf hashes, one after the other. */
  readonly leaves: Buffer;
  /** The tiles that became complete. */
  readonly tiles: readonly CompleteTile[];
  readonly placed: ReadonlyMap<Prepared, Appended>;
}

/**
 * Chains and hashes the entries of submissions behind a head.
 * @param range the tree at that head; it grows
 * @param now milliseconds, to stamp
 */
export function place(
  submissions: readonly Prepared[],
  from: ChainedHead,
  range: CompactRange,
  now: number,
): Placement {
  const receivedAt = Math.max(now, from.lastReceivedAt);
  const leaves = chain(submissions, from, receivedAt);
  const tiles = grow(range, leaves);
  const placed = new Map<Prepared, Appended>();
  let index = from.size;
  for (const prepared of submissions) {
    const { drafts } = prepared.submission;
    const leafHash = leafAt(leaves, index + drafts.length - 1 - from.size);
    const digest = drafts.at(-1)?.digest ?? missing();
    placed.set(prepared, { index, count: drafts.length, receivedAt, digest, leafHash });
    index += drafts.length;
  }
  const lastLeaf = leafAt(leaves, index - from.size - 1);
  const head = { size: index, root: range.root(), lastLeaf, lastReceivedAt: receivedAt };
  return { from, head, leaves, tiles, placed };
}

/** The leaf hashes of the entries, each of which names the one before. */
function chain(submissions: readonly Prepared[], from: ChainedHead, receivedAt: number): Buffer {
  const count = submissions.reduce((sum, { commitments }) => sum + commitments.length / HASH_SIZE, 0);
  const leaves = Buffer.allocUnsafe(HASH_SIZE * count);
  const leaf = Buffer.alloc(1 + ENTRY_SIZE);
  leaf[1] = 0x01;
  writeU64(leaf, 2, receivedAt);
  leaf.set(from.lastLeaf, 10);
  let at = 0;
  for (const { commitments } of submissions) {
    const source = Buffer.from(commitments.buffer, commitments.byteOffset, commitments.byteLength);
    for (let next = 0; next < source.length; next += HASH_SIZE) {
      source.copy(leaf, 42, next, next + HASH_SIZE);
      sha256Into(leaf, leaves, at);
      leaves.copy(leaf, 10, at, at + HASH_SIZE);
      at += HASH_SIZE;
    }
  }
  return leaves;
}

/** Adds leaf hashes to the tree, a whole tile at a time where one begins. @returns the tiles that became complete */
function grow(range: CompactRange, leaves: Buffer): CompleteTile[] {
  const tiles: CompleteTile[] = [];
  const onTile = (tile: CompleteTile): void => void tiles.push(tile);
  for (let at = 0; at < leaves.length; ) {
    const whole = range.size % TILE_WIDTH === 0 && leaves.length - at >= TILE_WIDTH * HASH_SIZE;
    const end = at + (whole ? TILE_WIDTH : 1) * HASH_SIZE;
    if (whole) range.appendTile(leaves.subarray(at, end), onTile);
    else range.append(new Uint8Array(leaves.buffer, leaves.byteOffset + at, HASH_SIZE), onTile);
    at = end;
  }
  return tiles;
}

function leafAt(leaves: Buffer, position: number): Uint8Array {
  return new Uint8Array(leaves.subarray(HASH_SIZE * position, HASH_SIZE * (position + 1)));
}

/** What the index of digests has of the entries. */
export function prefixesOf(submissions: readonly Prepared[]): Buffer {
  return Buffer.concat(submissions.map(({ prefixes }) => prefixes));
}

/** The entries, to be cut into blocks. */
export function entryRun(log: Log, submissions: readonly Prepared[], { from, head, leaves }: Placement): EntryRun {
  const contents: StoredContent[] = [];
  const packed = new Map<number, Promise<Uint8Array>>();
  for (const prepared of submissions) {
    for (const [at, content] of prepared.packed) packed.set(from.size + contents.length + at, content);
    for (const content of prepared.contents) contents.push(content);
  }
  const times = Array<number>(contents.length).fill(head.lastReceivedAt);
  return { first: from.size, times, contents, leaves, nonceSize: nonceSizeOf(log), size: head.size, packed };
}

/** Whether the tile that was open becomes complete. */
export function completesTile({ from, head }: Placement): boolean {
  return from.size % TILE_WIDTH !== 0 && Math.floor(from.size / TILE_WIDTH) < Math.floor(head.size / TILE_WIDTH);
}

/** Tiles as parameters of a statement: levels, indices, roots and hashes. */
export function tileValues(tiles: readonly CompleteTile[]): unknown[] {
  return [
    `{${tiles.map(({ level }) => level).join(',')}}`,
    `{${tiles.map(({ index }) => index).join(',')}}`,
    Buffer.concat(tiles.map(({ root }) => root)),
    Buffer.concat(tiles.map(({ hashes }) => hashes)),
  ];
}

export function missing(): never {
  throw new AntequemError('internal', 'a submission was given no place');
}
