import { afterEach, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { RoundTrees } from '../../src/anchor/roundtrees.ts';
import { prefixedHex, u64 } from '../../src/core/bytes.ts';
import { hashLeaves, MerkleTree } from '../../src/core/merkle.ts';
import { leafStep, packPath, type Step, treeSteps, walkPath } from '../../src/core/path.ts';
import { DIGEST_LEAF_PREFIX, digestLeaf, encodeLink, firstPreviousRoot } from '../../src/core/round.ts';
import { ANCHOR_ADDRESS, ANCHOR_INTERFACE, encodeExistedBefore } from '../../src/evm/anchor-contract.ts';
import { readTarget } from '../../src/evm/state.ts';
import { findStored, receiptStoredPath } from '../../src/evm/stored-rounds.ts';
import { MAX_BETWEEN, type StoreEvery } from '../../src/evm/storing.ts';
import type { EvmTarget, EvmTargetOptions } from '../../src/evm/target.ts';
import { type AnchorGround, anchorGround, minedAnchors, restartableChain, SENDER } from '../support/anchoring.ts';
import { ORIGIN } from '../support/instance.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START = 1_700_000_000_000;

let ground: AnchorGround;
let trees: RoundTrees;
let now: number;
afterEach(() => ground?.stop());

async function begin(hardfork?: 'amsterdam'): Promise<void> {
  ground = await anchorGround(() => restartableChain(hardfork === undefined ? {} : { hardfork }));
  trees = new RoundTrees(ground.database);
  now = START;
}

const open = (options: Partial<EvmTargetOptions> = {}): EvmTarget =>
  ground.target({
    ephemeral: false,
    firstRound: 1,
    finality: { by: 'depth', blocks: 1 },
    storeEvery: HOUR_MS,
    now: () => now,
    ...options,
  });

/** What each round holds beside its link. */
const commitment = (round: number): Uint8Array => sha256(u64(round));

/** Rounds one minute apart, each linked to the one before, with beacons as long as they can be. */
async function closeRounds(count: number): Promise<number[]> {
  let previousRoot = firstPreviousRoot(ORIGIN);
  const beacon = { chain: `eip15500:${'9'.repeat(32)}`, height: 1, hash: new Uint8Array(32).fill(7) };
  const beacons = [beacon, beacon, beacon];
  const rows = Array.from({ length: count }, (_, i) => {
    const number = i + 1;
    const closedAt = START + number * MINUTE_MS;
    const leaves = [encodeLink({ number, closedAt, previousRoot, beacons }), digestLeaf(commitment(number))];
    const root = new MerkleTree(hashLeaves(leaves)).root();
    const row = { number, closedAt, previousRoot, root, leaves };
    previousRoot = root;
    return row;
  });
  await ground.database.query(
    `INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons)
     SELECT n, c, p, r, 2, $5 FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[]) AS x (n, c, p, r)`,
    [
      rows.map(({ number }) => number),
      rows.map(({ closedAt }) => closedAt),
      rows.map((row) => Buffer.from(row.previousRoot)),
      rows.map(({ root }) => Buffer.from(root)),
      JSON.stringify(beacons.map((each) => ({ ...each, hash: Buffer.from(each.hash).toString('hex') }))),
    ],
  );
  await ground.database.query(
    `INSERT INTO packed_leaves (round, link, checkpoints, digests)
     SELECT n, l, c, '' FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS x (n, l, c)`,
    [
      rows.map(({ number }) => number),
      rows.map(({ leaves }) => Buffer.from(leaves[0] ?? [])),
      rows.map(({ leaves }) => Buffer.from(leaves[1] ?? [])),
    ],
  );
  now = START + count * MINUTE_MS;
  return rows.map(({ number }) => number);
}

async function finish(target: EvmTarget, rounds: readonly number[]): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const outcome = await target.advance(rounds);
    if ([...outcome.values()].every((again) => again === null)) return;
  }
  throw new Error('not final');
}

async function prepare(target: EvmTarget, count: number): Promise<number[]> {
  await target.register();
  const rounds = await closeRounds(count);
  await addMissingAnchors(ground.database, 'local', now);
  return rounds;
}

/** The way from what a round holds to the stored root; null while there is none. */
async function stepsOf(round: number): Promise<Step[] | null> {
  const stored = await findStored(ground.database, trees, null, round);
  if (stored === null) return null;
  const { tree } = await trees.read(round);
  const steps = [leafStep(DIGEST_LEAF_PREFIX), ...treeSteps(1, 2, tree.inclusionPath(1)), ...stored.steps];
  expect(walkPath(commitment(round), steps)).toEqual(stored.root);
  return steps;
}

const question = (round: number, steps: readonly Step[]) => ({
  to: ANCHOR_ADDRESS,
  data: encodeExistedBefore(commitment(round), packPath(steps)),
});

async function existedBefore(round: number, steps: readonly Step[]): Promise<bigint> {
  const answer = await ground.chain.provider.call(question(round, steps));
  return ANCHOR_INTERFACE.decodeFunctionResult('existedBefore', answer).getValue('time');
}

async function storedRounds(): Promise<{ round: number; purpose: string }[]> {
  const { rows } = await ground.database.query<{ round: number; purpose: string }>(
    "SELECT round, purpose FROM evm_transactions WHERE stores AND status = 'finalized' ORDER BY round",
  );
  return rows;
}

test('200 rounds, one an hour stored: each is proven once the next store is in; a quiet log by a store of its own, once', async () => {
  await begin();
  const target = open();
  const rounds = await prepare(target, 200);
  await finish(target, rounds);
  const usual = [1, 61, 121, 181].map((round) => ({ round, purpose: 'round' }));
  expect(await storedRounds()).toEqual(usual);
  for (const round of rounds) {
    const steps = await stepsOf(round);
    if (round > 181) expect(steps).toBeNull();
    else expect(await existedBefore(round, steps ?? [])).toBeGreaterThan(0n);
  }
  // Not before one has waited for an hour.
  now = START + 181 * MINUTE_MS + HOUR_MS;
  await target.inspect();
  expect(await storedRounds()).toEqual(usual);
  now += MINUTE_MS;
  const processes = [open(), open(), open()];
  for (let i = 0; i < 3; i++) await Promise.all(processes.map((each) => each.inspect()));
  expect(await storedRounds()).toEqual([...usual, { round: 200, purpose: 'store' }]);
  for (const round of rounds.slice(181)) {
    expect(await existedBefore(round, (await stepsOf(round)) ?? [])).toBeGreaterThan(0n);
  }
  const mined = await minedAnchors(ground);
  expect(rounds.map((round) => mined.get(round))).toEqual(rounds.map((round) => (round === 200 ? 2 : 1)));
  expect(await ground.chain.provider.getTransactionCount(SENDER)).toBe(201);
  // Looked at again, nothing more is due.
  now += 10 * HOUR_MS;
  await target.inspect();
  expect(await ground.chain.provider.getTransactionCount(SENDER)).toBe(201);

  console.log(`Osaka: ${await compareGas(rounds.length)}; gas of a walk: ${await walks(61, [1, 60, 31, 2])}`);
}, 60_000);

test('under Amsterdam, where storing is dear, a round costs little more than announcing it', async () => {
  await begin('amsterdam');
  const target = open();
  const rounds = await prepare(target, 120);
  await finish(target, rounds);
  expect(await storedRounds()).toEqual([1, 61].map((round) => ({ round, purpose: 'round' })));
  console.log(`Amsterdam: ${await compareGas(rounds.length)}; gas of a walk: ${await walks(61, [1, 60, 31, 2])}`);
}, 60_000);

/** What all transactions took, by round: not much more than announcing each would. */
async function compareGas(rounds: number): Promise<string> {
  const { rows } = await ground.database.query<{ hash: Buffer; stores: boolean }>(
    'SELECT hash, stores FROM evm_transactions',
  );
  const gas = await Promise.all(
    rows.map(async ({ hash, stores }) => {
      const receipt = await ground.chain.provider.getTransactionReceipt(`0x${hash.toString('hex')}`);
      return { stores, used: Number(receipt?.gasUsed) };
    }),
  );
  const mean = gas.reduce((sum, { used }) => sum + used, 0) / rounds;
  const most = (stored: boolean): number =>
    Math.max(...gas.flatMap(({ stores, used }) => (stores === stored ? [used] : [])));
  expect(mean).toBeLessThan(1.15 * most(false));
  return `gas a round ${mean.toFixed(0)}, ${(mean / most(false)).toFixed(3)} times announcing (${most(false)}; storing ${most(true)})`;
}

/** Gas of `existedBefore` from each of these rounds to the stored one. */
async function walks(stored: number, from: readonly number[]): Promise<string> {
  const said: string[] = [];
  for (const round of from) {
    const estimate = await ground.chain.provider.estimateGas(question(round, (await stepsOf(round)) ?? []));
    said.push(`${round === 1 ? 0 : stored - round} links ${estimate}`);
  }
  return said.join(', ');
}

test('a flipped bit in any link reverts', async () => {
  await begin();
  const target = open();
  const rounds = await prepare(target, 61);
  await finish(target, rounds);
  const steps = (await stepsOf(31)) ?? [];
  expect(await existedBefore(31, steps)).toBeGreaterThan(0n);
  // As receipts say it: from the root of the round on; nothing where the round itself is stored, or none is.
  const told = (round: number) =>
    findStored(ground.database, trees, null, round).then((found) => receiptStoredPath(found, round));
  expect(await told(31)).toEqual({ chain: 'eip155:31337', round: 61, path: prefixedHex(packPath(steps.slice(2))) });
  expect([await told(61), await told(62)]).toEqual([undefined, undefined]);
  for (const [i, step] of steps.entries()) {
    for (const side of ['prefix', 'suffix'] as const) {
      if (step[side].length === 0) continue;
      const spoilt = new Uint8Array(step[side]);
      const at = (7 * i) % spoilt.length;
      spoilt[at] = (spoilt[at] ?? 0) ^ (1 << (i % 8));
      const forged = steps.with(i, { ...step, [side]: spoilt });
      await expect(existedBefore(31, forged), `step ${i}, ${side}`).rejects.toThrow();
    }
  }
}, 60_000);

test('at most 256 rounds lie between stores, however long they may', async () => {
  await begin();
  const target = open({ storeEvery: 1_000 * HOUR_MS });
  const rounds = await prepare(target, MAX_BETWEEN + 2);
  await finish(target, rounds);
  expect((await storedRounds()).map(({ round }) => round)).toEqual([1, 1 + MAX_BETWEEN]);
  expect(await existedBefore(2, (await stepsOf(2)) ?? [])).toBeGreaterThan(0n);
  console.log(`gas of the longest walk: ${await walks(1 + MAX_BETWEEN, [2])}`);
}, 60_000);

test('what is not said stays as the database has it; a new target stores one an hour', async () => {
  await begin();
  const policy = async (): Promise<StoreEvery> => (await readTarget(ground.database, 'local')).storeEvery;
  const open = (storeEvery: StoreEvery | null): EvmTarget => ground.target({ ephemeral: false, storeEvery });
  await open(null).register();
  expect(await policy()).toBe(HOUR_MS);
  for (const said of ['always', 'never', 5 * MINUTE_MS] as const) {
    await open(said).register();
    expect(await policy()).toBe(said);
    await open(null).register();
    expect(await policy()).toBe(said);
  }
});
