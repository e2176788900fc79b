import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';
import { formatCheckpoint, parseCheckpoint } from '../../src/core/checkpoint.ts';
import { commitTo, encodeEntry, entryLeafHash, parseEntry } from '../../src/core/entry.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { logId } from '../../src/core/origin.ts';
import { entryStep, leafStep, nonceStep, packPath, treeSteps, unpackPath, walkPath } from '../../src/core/path.ts';
import { verifyConsistency, verifyInclusion } from '../../src/core/proof.ts';
import {
  checkpointLeafPrefix,
  encodeDigestLeaf,
  encodeLink,
  firstPreviousRoot,
  parseCheckpointLeaf,
  parseLink,
} from '../../src/core/round.ts';
import { parseTilePath, tilePath } from '../../src/core/tiles.ts';
import { formatsVector, merkleVector, tilePathsVector } from '../support/vectors.ts';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
const formats = formatsVector.parse(read('formats.json'));

describe('formats.json', () => {
  test('origin and log id', () => expect(toHex(logId(formats.origin))).toBe(formats.logId));

  test.each(formats.entries)('entry $index', (vector) => {
    const digest = sha256(fromHex(vector.payload));
    expect(toHex(digest)).toBe(vector.digest);
    const commitment = commitTo(digest, fromHex(vector.nonce));
    expect(toHex(commitment)).toBe(vector.commitment);
    const entry = { receivedAt: vector.receivedAt, previous: fromHex(vector.previous), commitment };
    expect(toHex(encodeEntry(entry))).toBe(vector.entry);
    expect(toHex(entryLeafHash(entry))).toBe(vector.leafHash);
    expect(parseEntry(fromHex(vector.entry))).toEqual(entry);
  });

  test('the chain of entries begins with the log id', () => {
    const previous = formats.entries.map((entry) => entry.previous);
    expect(previous).toEqual([formats.logId, ...formats.entries.slice(0, -1).map((entry) => entry.leafHash)]);
  });

  const log = new MerkleTree(concat(...formats.entries.map((entry) => fromHex(entry.leafHash))));

  test('checkpoint', () => {
    const checkpoint = { origin: formats.origin, size: log.size, root: log.root() };
    expect(checkpoint.size).toBe(formats.checkpoint.size);
    expect(toHex(checkpoint.root)).toBe(formats.checkpoint.root);
    expect(formatCheckpoint(checkpoint)).toBe(formats.checkpoint.body);
    expect(parseCheckpoint(formats.checkpoint.body)).toEqual(checkpoint);
  });

  test('first previous root', () => {
    expect(toHex(firstPreviousRoot(formats.firstPreviousRoot.serviceOrigin))).toBe(formats.firstPreviousRoot.root);
  });

  const { round } = formats;
  const roundTree = new MerkleTree(concat(...round.leaves.map((leaf) => hashLeaf(fromHex(leaf)))));

  test('round leaves, link first', () => {
    const link = {
      number: round.number,
      closedAt: round.closedAt,
      previousRoot: fromHex(round.previousRoot),
      beacons: round.beacons.map((beacon) => ({ ...beacon, hash: fromHex(beacon.hash) })),
    };
    expect(toHex(encodeLink(link))).toBe(round.leaves[0]);
    expect(parseLink(fromHex(round.leaves[0] ?? ''))).toEqual(link);
    const own = parseCheckpointLeaf(fromHex(round.leaves[round.checkpointIndex] ?? ''));
    expect([toHex(own.logId), own.size, toHex(own.root)]).toEqual([
      formats.logId,
      formats.checkpoint.size,
      formats.checkpoint.root,
    ]);
    const digests = round.digests.map((leaf) => toHex(encodeDigestLeaf(fromHex(leaf.digest), fromHex(leaf.nonce))));
    expect(digests.sort()).toEqual(round.leaves.filter((leaf) => leaf.startsWith('82')));
  });

  test('round root', () => {
    expect(round.leaves.map((leaf) => toHex(hashLeaf(fromHex(leaf))))).toEqual(round.leafHashes);
    expect(toHex(roundTree.root())).toBe(round.root);
  });

  test('path from digest to round root', () => {
    const entry = formats.entries[formats.path.entryIndex]!;
    const steps = [
      nonceStep(fromHex(entry.nonce)),
      entryStep(entry.receivedAt, fromHex(entry.previous)),
      ...treeSteps(entry.index, log.size, log.inclusionPath(entry.index)),
      leafStep(checkpointLeafPrefix({ logId: fromHex(formats.logId), size: log.size })),
      ...treeSteps(round.checkpointIndex, roundTree.size, roundTree.inclusionPath(round.checkpointIndex)),
    ];
    expect(steps.map(({ prefix, suffix }) => ({ prefix: toHex(prefix), suffix: toHex(suffix) }))).toEqual(
      formats.path.steps,
    );
    expect(toHex(packPath(steps))).toBe(formats.path.packed);
    expect(unpackPath(fromHex(formats.path.packed))).toEqual(steps);
    expect(toHex(walkPath(fromHex(formats.path.digest), steps))).toBe(formats.path.root);
  });
});

describe('merkle.json', () => {
  const merkle = merkleVector.parse(read('merkle.json'));
  const leaves = merkle.data.map((data) => hashLeaf(fromHex(data)));
  const tree = new MerkleTree(concat(...leaves));

  test.each(merkle.trees)('tree of $size', ({ size, root, inclusion, consistency }) => {
    expect(toHex(tree.root(size))).toBe(root);
    expect(inclusion.length + consistency.length > 0 || size === 0).toBe(true);
    for (const { index, path } of inclusion) {
      expect(tree.inclusionPath(index, size).map(toHex)).toEqual(path);
      expect(verifyInclusion(leaves[index]!, index, size, path.map(fromHex), fromHex(root))).toBe(true);
    }
    for (const { from, path } of consistency) {
      expect(tree.consistencyPath(from, size).map(toHex)).toEqual(path);
      expect(verifyConsistency(from, size, path.map(fromHex), tree.root(from), fromHex(root))).toBe(true);
    }
  });
});

test.each(tilePathsVector.parse(read('tile-paths.json')))('tile $tile is $path', ({ tile, path }) => {
  expect(tilePath(tile)).toBe(path);
  expect(parseTilePath(path)).toBe(tile);
});
