import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Decision, Quota, type SharedQuota } from '../../src/access/quota.ts';
import { QuotaRedis } from '../../src/access/quota-redis.ts';
import { redisMissing, type TestRedis, testRedis } from '../support/redis.ts';
import { type TestService, testService } from '../support/service.ts';

const NO_LIMIT = { rateLimit: null, metricsTokenFile: null, drainDelay: 0, webhookAllowPrivate: false };

/** A clock that stands still until it is moved. */
class Hand {
  at = 0;
  readonly read = (): number => this.at;
}

async function takeMany(quota: Quota, owner: string, count: number): Promise<Decision[]> {
  const decisions: Decision[] = [];
  for (let i = 0; i < count; i++) decisions.push(await quota.take(owner));
  return decisions;
}

const allowed = (decisions: readonly Decision[]): number => decisions.filter((decision) => decision.allowed).length;

describe('a quota of one process', () => {
  it('lets so many through in a window, of each caller by itself, and as many in the next', async () => {
    const clock = new Hand();
    const quota = new Quota({ requests: 10, seconds: 60 }, null, clock.read);
    const first = await takeMany(quota, 'a', 12);
    expect(first.map(({ remaining }) => remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]);
    expect(first.map((decision) => decision.allowed)).toEqual([...Array(10).fill(true), false, false]);
    expect(allowed(await takeMany(quota, 'b', 11))).toBe(10);
    clock.at = 59_000;
    expect(await quota.take('a')).toEqual({ allowed: false, remaining: 0, resets: 1_000 });
    clock.at = 60_000;
    expect(allowed(await takeMany(quota, 'a', 11))).toBe(10);
  });

  it('decides at once', () => {
    expect(new Quota({ requests: 1, seconds: 1 }, null).take('a')).not.toBeInstanceOf(Promise);
  });
});

describe('a quota whose shared count', () => {
  it('fails or hangs is counted by each process, and asked again later', async () => {
    const clock = new Hand();
    let asked = 0;
    const shared: SharedQuota = {
      take: async () => {
        asked++;
        throw new Error('away');
      },
      close: () => {},
    };
    const quota = new Quota({ requests: 1_000, seconds: 1 }, shared, clock.read);
    expect(allowed(await takeMany(quota, 'a', 1_010))).toBe(1_000);
    expect(asked).toBe(1);
    clock.at = 6_000;
    expect(allowed(await takeMany(quota, 'a', 5))).toBe(5);
    expect(asked).toBe(2);
  });

  it('is there is asked for a hundredth of the requests', async () => {
    let left = 10_000;
    let asked = 0;
    const shared: SharedQuota = {
      take: async (_, wanted) => {
        asked++;
        const granted = Math.min(wanted, left);
        left -= granted;
        return { granted, left, resets: 60_000 };
      },
      close: () => {},
    };
    const quota = new Quota({ requests: 10_000, seconds: 60 }, shared);
    expect(allowed(await takeMany(quota, 'a', 10_050))).toBe(10_000);
    expect(asked).toBeLessThanOrEqual(101);
  });
});

describe.skipIf(redisMissing !== null)(
  `over Redis${redisMissing === null ? '' : ` (skipped: ${redisMissing})`}`,
  () => {
    let redis: TestRedis;
    beforeAll(async () => {
      redis = await testRedis();
    });
    afterAll(() => redis.stop());

    it('processes share one quota, and none is let through beyond it', async () => {
      // A window that does not end amid the test.
      const policy = { requests: 500, seconds: 86_400 };
      const quotas = await Promise.all(
        Array.from(
          { length: 3 },
          async () => new Quota(policy, await QuotaRedis.open(redis.url, 'antequem-test', policy)),
        ),
      );
      const decisions = await Promise.all(quotas.map((quota) => takeMany(quota, 'a', 300)));
      const through = allowed(decisions.flat());
      expect(through).toBeLessThanOrEqual(500);
      // What another process took and did not use is at most a share.
      expect(through).toBeGreaterThanOrEqual(500 - 3 * 5);
      expect(allowed(await takeMany(quotas[0] ?? expect.unreachable(), 'b', 10))).toBe(10);
      for (const quota of quotas) quota.close();
    });

    it('a window ends by the clock of Redis', async () => {
      const policy = { requests: 2, seconds: 1 };
      const quota = new Quota(policy, await QuotaRedis.open(redis.url, 'antequem-test', policy));
      let refused = 0;
      let through = 0;
      for (let i = 0; i < 400 && (refused === 0 || through < 5); i++) {
        if ((await quota.take('c')).allowed) through++;
        else refused++;
        await sleep(10);
      }
      expect([through >= 5, refused > 0]).toEqual([true, true]);
      quota.close();
    });

    it('that goes away holds nobody up', async () => {
      const policy = { requests: 50, seconds: 86_400 };
      const quota = new Quota(policy, await QuotaRedis.open(redis.url, 'antequem-test', policy));
      await takeMany(quota, 'd', 5);
      await redis.down();
      expect(allowed(await takeMany(quota, 'd', 5))).toBe(5);
      expect(allowed(await takeMany(quota, 'e', 60))).toBe(50);
      quota.close();
      await redis.up();
    });
  },
);

describe('the API', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await testService({
      open: false,
      config: { operation: { ...NO_LIMIT, rateLimit: { requests: 5, seconds: 3_600 } } },
    });
  });
  afterAll(() => service[Symbol.asyncDispose]());

  it('tells each key what it has left, and refuses what is beyond', async () => {
    const [{ token }, { token: other }] = await Promise.all([service.key(['admin']), service.key(['read'])]);
    const calls = [
      ['PUT', '/v1/logs/demo'],
      ['POST', '/v1/logs/demo/entries'],
      ['GET', '/v1/logs'],
      ['GET', '/v1/logs/nobody'],
      ['GET', '/v1/rounds'],
    ] as const;
    for (const [i, [method, path]] of calls.entries()) {
      const answer = await service.send(method, path, { token, ...(method === 'POST' ? { body: 'x' } : {}) });
      expect([path, answer.headers.get('ratelimit-policy')]).toEqual([path, '"requests";q=5;w=3600']);
      expect(answer.headers.get('ratelimit')).toMatch(new RegExp(`^"requests";r=${4 - i};t=\\d+$`));
      expect(answer.status).not.toBe(429);
    }
    const refused = await service.send('POST', '/v1/logs/demo/entries', { token, body: 'y' });
    expect([refused.status, refused.code]).toEqual([429, 'rate-limited']);
    const [, wait] = /^"requests";r=0;t=(\d+)$/.exec(refused.headers.get('ratelimit') ?? '') ?? [];
    expect(refused.headers.get('retry-after')).toBe(wait);
    expect(Number(wait)).toBeGreaterThan(3_000);
    // Nothing was written, and nobody else is concerned.
    const size = await service.send('GET', '/v1/logs/demo', { token: other });
    expect([size.status, size.at('size')]).toEqual([200, 1]);
    for (const path of ['/logs/demo/checkpoint', '/healthz']) {
      const free = await service.send('GET', path);
      expect([free.status, free.headers.get('ratelimit')]).toEqual([200, null]);
    }
  });

  it('counts nothing for whoever has no key', async () => {
    for (let i = 0; i < 8; i++) expect((await service.send('GET', '/v1/logs')).status).toBe(401);
  });
});
