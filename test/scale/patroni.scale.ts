// The primary of a Patroni cluster dies again and again under load.
//
//   PATRONI_MINUTES=10 npm run test:scale test/scale/patroni

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { Fleet } from '../support/fleet.ts';
import { checkFleet } from '../support/fleet-check.ts';
import { PatroniCluster, patroniMissing } from '../support/patroni.ts';

const MINUTES = Number(process.env.PATRONI_MINUTES ?? 10);
/** Milliseconds from one death to the next. */
const LIFE_MS = 60_000;
/** Milliseconds that a dead node stays away. */
const AWAY_MS = 5_000;

test.skipIf(patroniMissing !== null)(
  'three nodes, the primary killed every minute: each answered entry is there once',
  {
    timeout: (MINUTES + 10) * 60_000,
  },
  async () => {
    const cluster = await PatroniCluster.open();
    const roles = ['api,worker', 'api,worker'];
    const logs = ['one', 'two', 'three'];
    const fleet = await Fleet.open({ databaseUrl: cluster.url, guardFile: true, roles, clients: 8, logs });
    const pauses: number[] = [];
    try {
      fleet.load();
      for (let death = 0; death < MINUTES; death++) {
        const began = performance.now();
        const primary = await cluster.primary();
        if (primary === null) throw new Error('there is no primary');
        cluster.kill(primary);
        await expect.poll(() => cluster.primary(), { timeout: 120_000, interval: 200 }).not.toBe(primary);
        await expect.poll(() => cluster.primary(), { timeout: 120_000, interval: 200 }).not.toBeNull();
        const answered = fleet.told.length;
        await expect.poll(() => fleet.told.length, { timeout: 120_000, interval: 50 }).toBeGreaterThan(answered);
        pauses.push(Math.round((performance.now() - began) / 1_000));
        await sleep(AWAY_MS);
        cluster.startNode(primary);
        await cluster.whole();
        await sleep(Math.max(0, LIFE_MS - (performance.now() - began)));
      }
      await fleet.settle();
      const { entries, rounds } = await checkFleet(fleet, cluster.url, new PublishedFile(fleet.guardFile));
      console.log(
        `${MINUTES} deaths of a primary, appends answered again after ${pauses.join(', ')} s: ${fleet.told.length} requests answered ` +
          `(${fleet.counts.again} sent again), ${entries} entries, each there once at its index, no gap, audit proven; ` +
          `${rounds} rounds, each anchored once; instead of an answer: ${[...fleet.refusals].map(([why, times]) => `${why} ${times}`).join(', ')}`,
      );
    } finally {
      await fleet.close();
      cluster.close();
    }
  },
);
