// A second opinion: the npm package `opentimestamps`, wherever it can read.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { installPeers } from '../../bench/peers.ts';
import { toHex } from '../../src/core/bytes.ts';
import { serializeAttestation } from '../../src/ots/attestation.ts';
import { type OtsFile, parseOtsFile, serializeOtsFile } from '../../src/ots/file.ts';
import { type Line, timestampLines } from '../../src/ots/line.ts';
import { files } from '../ots/arbitrary.ts';
import { example, exampleNames } from '../ots/examples.ts';
import { Reference, referenceMissing } from '../ots/reference.ts';

interface Theirs {
  readonly msg: readonly number[];
  readonly attestations: readonly {
    uri?: string | undefined;
    height?: number | undefined;
    payload?: number[] | undefined;
  }[];
  readonly ops: ReadonlyMap<unknown, Theirs>;
}

const bytes = z.array(z.number());
const theirs: z.ZodMiniType<Theirs> = z.object({
  msg: bytes,
  attestations: z.array(
    z.object({ uri: z.optional(z.string()), height: z.optional(z.number()), payload: z.optional(bytes) }),
  ),
  ops: z.map(
    z.unknown(),
    z.lazy(() => theirs),
  ),
});
const library = installPeers()('opentimestamps/index.js');
const { DetachedTimestampFile } = z
  .object({
    DetachedTimestampFile: z.custom<{ deserialize(bytes: number[]): unknown }>((c) => typeof c === 'function'),
  })
  .parse(library);

/** It has no keccak, its hexlify makes nothing, and its heights have 31 bits. */
function canRead({ hash, timestamp }: OtsFile): boolean {
  const readable = ({ ops, attestation }: Line): boolean =>
    ops.every(({ kind }) => kind !== 'keccak256' && kind !== 'hexlify') &&
    !('height' in attestation && attestation.height >= 2 ** 31);
  return hash !== 'keccak256' && [...timestampLines(timestamp)].every(readable);
}

function ours({ timestamp }: OtsFile): string[] {
  const told = ({ message, attestation }: Line): string => {
    // It does not know Ethereum's: what they hold, after tag and length.
    if (attestation.kind === 'ethereum')
      return `${toHex(message)} ${toHex(serializeAttestation(attestation).slice(9))}`;
    if (attestation.kind === 'unknown') return `${toHex(message)} ${toHex(attestation.payload)}`;
    return `${toHex(message)} ${attestation.kind === 'pending' ? attestation.uri : attestation.height}`;
  };
  return [...timestampLines(timestamp)].map(told).sort();
}

function read(file: Uint8Array): string[] {
  const detached = z.object({ timestamp: theirs }).parse(DetachedTimestampFile.deserialize([...file]));
  const told: string[] = [];
  const open = [detached.timestamp];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const message = toHex(new Uint8Array(at.msg));
    for (const { uri, height, payload } of at.attestations) {
      told.push(`${message} ${uri ?? height ?? toHex(new Uint8Array(payload ?? []))}`);
    }
    open.push(...at.ops.values());
  }
  return told.sort();
}

test('the examples it brings', () => {
  const readable = exampleNames.filter((name) => canRead(parseOtsFile(example(name))));
  expect(readable).toEqual(exampleNames);
  for (const name of readable) expect(read(example(name)), name).toEqual(ours(parseOtsFile(example(name))));
});

test('files the reference makes at random', async (context) => {
  if (referenceMissing !== null) context.skip(referenceMissing);
  using reference = new Reference();
  const made = await reference.generate(1_000, 20_160_914);
  const readable = made.filter((file) => canRead(parseOtsFile(file)));
  for (const file of readable) expect(read(file)).toEqual(ours(parseOtsFile(file)));
  console.log(`the npm package agrees on ${readable.length} of ${made.length} files, all that it can read`);
  expect(readable.length).toBeGreaterThan(100);
});

test('ours', () => {
  const readable = fc.sample(files, { numRuns: 1_000, seed: 3 }).filter(canRead);
  expect(readable.length).toBeGreaterThan(50);
  for (const file of readable) expect(read(serializeOtsFile(file))).toEqual(ours(file));
});
