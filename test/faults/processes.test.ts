import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { PublishedRedis } from '../../src/log/outside/published-redis.ts';
import { DEEP } from '../support/deep.ts';
import { Fleet } from '../support/fleet.ts';
import { checkFleet } from '../support/fleet-check.ts';
import { testDatabase } from '../support/postgres.ts';
import { redisMissing, testRedis } from '../support/redis.ts';

const SECONDS = DEEP ? 60 : 10;

test.skipIf(redisMissing !== null)(
  'two API processes and two workers over one PostgreSQL and one Redis, one killed every two seconds, Redis flushed and restarted',
  async () => {
    const [database, redis] = await Promise.all([testDatabase(), testRedis()]);
    const fleet = await Fleet.open({
      databaseUrl: database.url,
      redisUrl: redis.url,
      guardFile: false,
      roles: ['api', 'worker', 'api', 'worker'],
      clients: 12,
      logs: ['one', 'two', 'three'],
    });
    try {
      fleet.load();
      const until = performance.now() + SECONDS * 1_000;
      const misfortunes = ['flush', 'down', 'up', 'flush'] as const;
      const replacing: Promise<void>[] = [];
      let away = false;
      for (let i = 0; performance.now() < until; i++) {
        await sleep(1_000);
        const misfortune = misfortunes[i % misfortunes.length] ?? 'flush';
        await redis[misfortune]();
        away = misfortune === 'down';
        await sleep(1_000);
        // Not waited for: while one comes up, the others carry on.
        replacing.push(fleet.replace(i % 4, false));
      }
      await Promise.all(replacing);
      if (away) await redis.up();
      await fleet.settle();
      const { entries, rounds } = await checkFleet(fleet, database.url, new PublishedRedis(redis.url));
      expect(fleet.counts.kills).toBeGreaterThanOrEqual(SECONDS / 2 - 2);
      expect(fleet.counts.again).toBeGreaterThan(0);
      expect(rounds).toBeGreaterThan(1);
      console.log(
        `${fleet.counts.kills} kills and ${Math.ceil(SECONDS / 2)} misfortunes of Redis in ${SECONDS} s: ${fleet.told.length} requests ` +
          `answered (${fleet.counts.again} sent again), ${entries} entries, each there once; ${rounds} rounds, each anchored once`,
      );
    } finally {
      await fleet.close();
      await redis.stop();
      await database.drop();
    }
  },
  180_000,
);
