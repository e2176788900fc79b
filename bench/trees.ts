// Trees and proofs in memory: ours beside one core of SHA-256 and beside what npm has of the kind, all of SHA-256.
//
//   node bench/trees.ts [--leaves 100000]

import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import * as z from 'zod/mini';
import { sha256Into } from '#sha256';
import { fromHex } from '../src/core/bytes.ts';
import { hashLeaf, MerkleTree } from '../src/core/merkle.ts';
import { verifyInclusion } from '../src/core/proof.ts';
import { parseOtsFile, serializeOtsFile } from '../src/ots/file.ts';
import { machine, percent, perSecond } from './ground.ts';
import { installPeers } from './peers.ts';

interface OpenTimestampsFile {
  serializeToBytes(): unknown;
}
interface OtherTree {
  getRoot(): Buffer;
  getLeaves(): Buffer[];
  getProof(leaf: Buffer | string, index: number): unknown[];
  verify(proof: unknown[], leaf: Buffer, root: Buffer): boolean;
}
const isClass = (value: unknown): boolean => typeof value === 'function';
const load = installPeers();
const { DetachedTimestampFile } = z
  .object({ DetachedTimestampFile: z.custom<{ deserialize(bytes: Buffer): OpenTimestampsFile }>(isClass) })
  .parse(load('opentimestamps/index.js'));
const { StandardMerkleTree } = z
  .object({ StandardMerkleTree: z.custom<{ of(leaves: string[][], types: string[]): { root: string } }>(isClass) })
  .parse(load('@openzeppelin/merkle-tree'));
const { MerkleTree: MerkleTreeJs } = z
  .object({ MerkleTree: z.custom<new (leaves: Buffer[], hash: (bytes: Uint8Array) => Buffer) => OtherTree>(isClass) })
  .parse(load('merkletreejs'));

const { values } = parseArgs({ options: { leaves: { type: 'string', default: '100000' } } });
const count = Number(values.leaves);
const data = Array.from({ length: count }, () => new Uint8Array(randomBytes(32)));

/** Runs a second, in a second; the first call warms up. */
function rateOf(unit: number, work: () => unknown): number {
  work();
  const start = performance.now();
  let runs = 0;
  while (performance.now() - start < 1_000) {
    work();
    runs++;
  }
  return (runs * unit * 1_000) / (performance.now() - start);
}

function line(name: string, rate: number, limit: number, what: string): void {
  console.log(`  ${name.padEnd(34)}${perSecond(rate)}  ${percent(rate / limit)} of ${what}`);
}

console.log(machine());

const input = new Uint8Array(65);
const out = new Uint8Array(32);
const limit = rateOf(100_000, () => {
  for (let i = 0; i < 100_000; i++) sha256Into(input, out, 0);
});
console.log(
  `\none core of SHA-256, 65 bytes: ${perSecond(limit).trim()}; createHash ${perSecond(
    rateOf(100_000, () => {
      for (let i = 0; i < 100_000; i++) createHash('sha256').update(input).digest();
    }),
  ).trim()}; @noble/hashes ${perSecond(
    rateOf(20_000, () => {
      for (let i = 0; i < 20_000; i++) nobleSha256(input);
    }),
  ).trim()}`,
);

console.log(`\ntrees of ${count.toLocaleString('en')} leaves: leaves a second, two hashes each`);
const hashes = (): Uint8Array => {
  const all = new Uint8Array(32 * data.length);
  for (const [i, leaf] of data.entries()) all.set(hashLeaf(leaf), i * 32);
  return all;
};
line(
  'antequem',
  rateOf(count, () => new MerkleTree(hashes()).root()),
  limit / 2,
  'one core',
);
const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
line(
  'merkletreejs',
  rateOf(count, () =>
    new MerkleTreeJs(
      data.map((leaf) => hash(leaf)),
      hash,
    ).getRoot(),
  ),
  limit / 2,
  'one core',
);
const words = data.slice(0, 10_000).map((leaf) => [`0x${Buffer.from(leaf).toString('hex')}`]);
line(
  '@openzeppelin/merkle-tree (keccak)',
  rateOf(words.length, () => StandardMerkleTree.of(words, ['bytes32']).root),
  limit / 2,
  'one core',
);

console.log(`\ninclusion proofs of ${count.toLocaleString('en')} leaves: made and checked a second`);
const tree = new MerkleTree(hashes());
const root = tree.root();
const depth = Math.ceil(Math.log2(count));
line(
  'antequem, made',
  rateOf(1_000, () => {
    for (let i = 0; i < 1_000; i++) tree.inclusionPath((i * 7_919) % count);
  }),
  limit / depth,
  `hashing its ${depth} steps`,
);
const paths = Array.from({ length: 1_000 }, (_, i) => ({
  index: (i * 7_919) % count,
  path: tree.inclusionPath((i * 7_919) % count),
}));
line(
  'antequem, checked',
  rateOf(1_000, () => {
    for (const { index, path } of paths) {
      const leaf = hashLeaf(data[index] ?? new Uint8Array(0));
      if (!verifyInclusion(leaf, index, count, path, root)) throw new Error('no proof');
    }
  }),
  limit / (depth + 1),
  `hashing its ${depth + 1} steps`,
);
const js = new MerkleTreeJs(
  data.map((leaf) => hash(leaf)),
  hash,
);
const leaves = js.getLeaves();
line(
  'merkletreejs, made',
  rateOf(1_000, () => {
    for (let i = 0; i < 1_000; i++) js.getProof(leaves[(i * 7_919) % count] ?? '', (i * 7_919) % count);
  }),
  limit / depth,
  `hashing its ${depth} steps`,
);
const jsProofs = paths.map(({ index }) => ({
  leaf: leaves[index] ?? Buffer.alloc(0),
  proof: js.getProof(leaves[index] ?? '', index),
}));
line(
  'merkletreejs, checked',
  rateOf(1_000, () => {
    for (const { leaf, proof } of jsProofs) if (!js.verify(proof, leaf, js.getRoot())) throw new Error('no proof');
  }),
  limit / depth,
  `hashing its ${depth} steps`,
);

console.log('\n.ots files of 40 steps: read and written a second');
const OPS = 40;
const steps = Array.from({ length: OPS / 2 }, () => `f020${randomBytes(32).toString('hex')}08`).join('');
const file = fromHex(
  `004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e892940108${'07'.repeat(32)}${steps}000588960d73d7190103c0843d`,
);
line(
  'antequem',
  rateOf(100, () => {
    for (let i = 0; i < 100; i++) serializeOtsFile(parseOtsFile(file));
  }),
  limit / (OPS / 2),
  'hashing its steps',
);
line(
  'opentimestamps',
  rateOf(100, () => {
    for (let i = 0; i < 100; i++) DetachedTimestampFile.deserialize(Buffer.from(file)).serializeToBytes();
  }),
  limit / (OPS / 2),
  'hashing its steps',
);
