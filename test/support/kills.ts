// The test of kills at random points, as often as told.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { Fleet } from './fleet.ts';
import { checkFleet } from './fleet-check.ts';
import { testDatabase } from './postgres.ts';

const PROCESSES = 3;
const LIFE_MS = 1_500;

/**
 * Three processes with API and worker over one database, killed one after the other at random points while clients
 * append and erase, blocks are merged, rounds close and are anchored. Prints what came of it.
 */
export async function surviveKills(kills: number): Promise<void> {
  const database = await testDatabase();
  const begun = performance.now();
  const fleet = await Fleet.open({
    databaseUrl: database.url,
    guardFile: true,
    roles: Array.from({ length: PROCESSES }, () => 'api,worker'),
    clients: 12,
    logs: ['one', 'two', 'three'],
    erases: true,
    batches: 4,
  });
  let next = 100;
  try {
    fleet.load();
    await Promise.all(
      Array.from({ length: PROCESSES }, async (_, slot) => {
        while (fleet.counts.kills < kills) {
          await sleep(Math.random() * LIFE_MS);
          if (fleet.counts.kills < kills) await fleet.replace(slot, Math.random() < 0.2);
          if (fleet.counts.kills >= next) {
            console.log(`${fleet.counts.kills} kills, ${fleet.told.length} requests answered`);
            next += 100;
          }
        }
      }),
    );
    await fleet.settle();
    const { entries, rounds } = await checkFleet(fleet, database.url, new PublishedFile(fleet.guardFile));
    expect(fleet.counts.again).toBeGreaterThan(0);
    expect(rounds).toBeGreaterThan(kills / 20);
    console.log(
      `${fleet.counts.kills} kills in ${Math.round((performance.now() - begun) / 1_000)} s: ${fleet.told.length} requests answered ` +
        `(${fleet.counts.again} sent again), ${entries} entries, each there once at its index, no gap, ${fleet.counts.erased} of them erased, audit proven; ` +
        `${rounds} rounds, each anchored once; instead of an answer: ${[...fleet.refusals].map(([why, times]) => `${why} ${times}`).join(', ')}`,
    );
  } finally {
    await fleet.close();
    await database.drop();
  }
}
