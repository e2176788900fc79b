// As many digests as one round takes: how fast they are taken in, closed over, and found again.

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { DigestIntake } from '../../src/anchor/digests.ts';
import { RoundTrees } from '../../src/anchor/roundtrees.ts';
import { concat } from '../../src/core/bytes.ts';
import { hashLeaf } from '../../src/core/merkle.ts';
import { digestLeaf } from '../../src/core/round.ts';
import { Calendar } from '../../src/ots/own-calendar.ts';
import { auditDatabase } from '../support/audit.ts';
import { openInstance } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';

const DIGESTS = 50_000;
const AT_ONCE = 1_000;

async function timed<T>(work: () => Promise<T>): Promise<[result: T, seconds: number]> {
  const began = performance.now();
  const result = await work();
  return [result, (performance.now() - began) / 1_000];
}

test(`a round of ${DIGESTS.toLocaleString('en')} digests`, async () => {
  const { url, drop } = await testDatabase();
  const instance = await openInstance(url);
  try {
    const { database, effects, sequencing } = instance;
    const intake = new DigestIntake({ database, effects, rollback: sequencing.rollback, patience: 60_000 });
    const commitments: Uint8Array[] = [];
    const [, taking] = await timed(async () => {
      for (let at = 0; at < DIGESTS; at += AT_ONCE) {
        const digests = Array.from({ length: AT_ONCE }, () => new Uint8Array(randomBytes(32)));
        const taken = await Promise.all(digests.map((digest) => intake.take(digest)));
        commitments.push(...taken.map(({ commitment }) => commitment));
      }
    });
    const [round, closing] = await timed(() => instance.closeRound());
    expect(round?.size).toBe(DIGESTS + 1);
    const trees = new RoundTrees(database);
    const [{ tree, round: read }, cold] = await timed(() => trees.read(1));
    const [, paths] = await timed(async () => {
      for (let i = 0; i < 1_000; i++) tree.inclusionPath(1 + i * 49);
    });
    expect(read.root).toEqual(round?.root);
    const calendar = new Calendar({ database, trees, anchors: async () => [], chain: '', uri: 'http://localhost' });
    const leafHash = hashLeaf(digestLeaf(commitments[33_333] ?? concat()));
    await calendar.find(leafHash);
    const [found, asking] = await timed(async () => {
      for (let i = 0; i < 1_000; i++) await calendar.find(leafHash);
      return calendar.find(leafHash);
    });
    expect(found).toBe('pending');
    const [audit, auditing] = await timed(() => auditDatabase(url));
    expect(audit.findings).toEqual([]);
    console.log(
      [
        `digests, ${AT_ONCE} at once`,
        `  taken in, durably     ${Math.round(DIGESTS / taking).toLocaleString('en')} a second`,
        `  closed over           ${closing.toFixed(1)} s`,
        `  tree read, first time ${cold.toFixed(2)} s; path of a leaf ${(paths * 1_000).toFixed(1)} µs`,
        `  question by leaf hash ${asking.toFixed(2)} ms`,
        `  audit of all          ${auditing.toFixed(1)} s`,
      ].join('\n'),
    );
  } finally {
    await instance.end();
    await drop();
  }
});
