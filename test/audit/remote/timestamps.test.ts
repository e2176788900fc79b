// OpenTimestamps anchors of rounds, held against a Bitcoin chain in memory.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { BITCOIN } from '../../../src/core/bitcoin-header.ts';
import type { HeaderSource } from '../../../src/core/bitcoin-source.ts';
import type { Anchor } from '../../../src/core/receipt.ts';
import { MemoryBitcoin } from '../../support/memory-bitcoin.ts';
import { forgeMirror, NEW_YEAR } from '../forged.ts';
import { auditOf, codesOf, temporaryFolder } from '../ground.ts';

const HOUR = 3_600_000;
const CHAIN = new MemoryBitcoin();

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

/** Three rounds, whose anchors are made of their roots, once. */
function tell(anchor: (root: Uint8Array, number: number) => readonly Anchor[]): void {
  const rounds = [1, 2, 3].map((number) => ({
    closedAt: NEW_YEAR + number * HOUR,
    sizes: { demo: 10 * number },
    anchors: (root: Uint8Array) => anchor(root, number),
  }));
  const receivedAt = (_: string, index: number): number => NEW_YEAR + Math.floor(index / 10) * HOUR;
  forgeMirror(folder.path, { logs: { demo: 30 }, rounds, receivedAt, chains: [CHAIN.chain] });
}

const anchors = new Map<string, Anchor>();
function anchored(root: Uint8Array): Anchor {
  const key = Buffer.from(root).toString('hex');
  const anchor = anchors.get(key) ?? CHAIN.anchor(root);
  anchors.set(key, anchor);
  return anchor;
}

function pending(root: Uint8Array): Anchor {
  const anchor = anchored(root);
  if (anchor.type !== 'opentimestamps') throw new Error('no timestamp');
  return { type: 'opentimestamps', status: 'pending', timestamp: anchor.timestamp };
}

const audit = (bitcoin: readonly HeaderSource[] = [CHAIN], remember?: string) =>
  auditOf({ at: folder.path, bitcoin, ...(remember === undefined ? {} : { remember }) });

test('confirmed in Bitcoin: proven by the headers of a node', async () => {
  tell((root) => [anchored(root)]);
  const { verdict, findings } = await audit();
  expect(findings).toEqual([]);
  expect(verdict).toMatchObject({ result: 'proven', existedBefore: { chain: BITCOIN } });
  const claim = verdict.claims.find(({ code }) => code === 'anchors-final');
  expect(claim).toMatchObject({ grounds: 'bitcoin-node', says: expect.stringContaining('3 rounds of 3') });
});

test('with nobody to ask nothing is proven, and that is said', async () => {
  tell((root) => [anchored(root)]);
  const { verdict, findings } = await audit([]);
  expect([findings, verdict.result]).toEqual([[], 'unproven']);
  expect(verdict.claims.find(({ code }) => code === 'no-source')?.says).toContain('3 anchors there');
});

test('a node that does not answer is named', async () => {
  tell((root) => [anchored(root)]);
  const fail = (): Promise<never> => Promise.reject(new Error('the wire is cut'));
  const { grounds, chain } = CHAIN;
  const { verdict } = await audit([{ grounds, chain, describe: () => 'the dead node', header: fail, height: fail }]);
  expect([verdict.result, verdict.claims.map(({ code }) => code)]).toEqual([
    'unproven',
    expect.arrayContaining(['source-failed']),
  ]);
});

test('a timestamp that leads to no block of the chain is found', async () => {
  tell((root, number) => {
    const anchor = anchored(root);
    if (number !== 2 || anchor.type !== 'opentimestamps' || anchor.status !== 'confirmed') return [anchor];
    const other = CHAIN.carried(3);
    return [{ ...anchor, blocks: [other] }];
  });
  const { findings, verdict } = await audit();
  expect(findings[0]).toMatchObject({ code: 'anchor-missing', round: 2 });
  expect(verdict.result).toBe('refuted');
});

test('what was pending at first is looked at again, and each round counted once', async () => {
  const remember = `${folder.path}.json`;
  tell((root, number) => [number < 3 ? anchored(root) : pending(root)]);
  const first = await audit([CHAIN], remember);
  expect(first.verdict.claims.find(({ code }) => code === 'anchors-final')?.says).toContain('2 rounds of 3');
  tell((root) => [anchored(root)]);
  const second = await audit([CHAIN], remember);
  expect([codesOf(second), second.result.entries]).toEqual([[], 0]);
  expect(second.verdict.claims.find(({ code }) => code === 'anchors-final')?.says).toContain('3 rounds of 3');
  const third = await audit([CHAIN], remember);
  expect(third.verdict.claims.find(({ code }) => code === 'anchors-final')?.says).toContain('3 rounds of 3');
});
