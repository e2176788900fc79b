import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Queue as BullQueue } from 'bullmq';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { ORIGIN } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';
import { QUEUE_GROUNDS, type QueueGround } from '../support/queues.ts';
import { redisMissing, testRedis } from '../support/redis.ts';

const logger = pino({ level: 'silent' });

async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  for (let waited = 0; !condition() && waited < ms; waited += 10) await pause(10);
}

describe.each(QUEUE_GROUNDS)('wake-ups on $name', ({ open }) => {
  let ground: QueueGround;
  beforeAll(async () => {
    ground = await open();
  });
  afterAll(() => ground.stop());

  async function withQueue(work: (queue: Queue) => Promise<void>): Promise<void> {
    const queue = await openQueue({ origin: ORIGIN, ...ground, logger });
    try {
      await work(queue);
    } finally {
      await queue.close();
    }
  }

  test('a wake-up is handled once while it waits, and again when it is made again later', async () => {
    await withQueue(async (queue) => {
      const seen: unknown[] = [];
      const wakeup = { lane: 'once', id: 'round-1', data: { round: 1 } };
      expect(await queue.wake([wakeup])).toBe(true);
      expect(await queue.wake([wakeup])).toBe(true);
      queue.work('once', async (data) => void seen.push(data), { concurrency: 4 });
      await until(() => seen.length === 1);
      await pause(100);
      expect(seen).toEqual([{ round: 1 }]);
      await queue.wake([wakeup]);
      await until(() => seen.length === 2);
      expect(seen).toHaveLength(2);
    });
  });

  test('a delayed wake-up waits; a handler may ask for the same one again', async () => {
    await withQueue(async (queue) => {
      const times: number[] = [];
      const start = performance.now();
      queue.work(
        'again',
        async () => {
          times.push(performance.now() - start);
          return times.length < 3 ? { again: 200 } : undefined;
        },
        { concurrency: 1 },
      );
      await queue.wake([{ lane: 'again', id: 'later', data: {}, delay: 300 }]);
      await until(() => times.length === 3);
      await pause(300);
      const [first = 0, second = 0, third = 0] = times;
      expect(times).toHaveLength(3);
      expect(first).toBeGreaterThanOrEqual(290);
      expect(second - first).toBeGreaterThanOrEqual(190);
      expect(third - second).toBeGreaterThanOrEqual(190);
    });
  });

  test('a wake-up that failed can be made again', async () => {
    await withQueue(async (queue) => {
      let calls = 0;
      queue.work(
        'fails',
        async () => {
          calls += 1;
          throw new Error('on purpose');
        },
        { concurrency: 1 },
      );
      await queue.wake([{ lane: 'fails', id: 'it', data: {} }]);
      await until(() => calls === 1);
      await pause(200);
      await queue.wake([{ lane: 'fails', id: 'it', data: {} }]);
      await until(() => calls === 2);
      expect(calls).toBe(2);
    });
  });

  test('many at once: as many as the lane allows', async () => {
    await withQueue(async (queue) => {
      let running = 0;
      let most = 0;
      let done = 0;
      const wakeups = Array.from({ length: 500 }, (_, i) => ({ lane: 'many', id: `job-${i}`, data: { i } }));
      const start = performance.now();
      await queue.wake(wakeups);
      queue.work(
        'many',
        async () => {
          most = Math.max(most, ++running);
          await pause(1);
          running -= 1;
          done += 1;
        },
        { concurrency: 32 },
      );
      await until(() => done === 500, 20_000);
      console.log(`500 wake-ups in ${Math.round(performance.now() - start)} ms`);
      expect(done).toBe(500);
      expect(most).toBeGreaterThan(1);
      expect(most).toBeLessThanOrEqual(32);
    });
  });

  test('one wake-up a period for two processes together, and still one after the queue lost everything', async () => {
    await withQueue(async (one) => {
      await withQueue(async (two) => {
        let calls = 0;
        for (const queue of [one, two]) {
          queue.work('clock', async () => void calls++, { concurrency: 1 });
          queue.every({ lane: 'clock', id: 'tick', data: {} }, 500);
        }
        await until(() => calls > 0);
        const before = calls;
        await pause(2_000);
        expect(calls - before).toBeGreaterThanOrEqual(3);
        expect(calls - before).toBeLessThanOrEqual(5);
        await ground.flush();
        await pause(2_500);
        const flushed = calls;
        await until(() => calls > flushed, 5_000);
        const restored = calls;
        await pause(2_000);
        expect(calls - restored).toBeGreaterThanOrEqual(3);
        expect(calls - restored).toBeLessThanOrEqual(5);
      });
    });
  });

  test('closing waits for the handler under way', async () => {
    let finished = false;
    await withQueue(async (queue) => {
      let begun = false;
      queue.work(
        'slow',
        async () => {
          begun = true;
          await pause(500);
          finished = true;
        },
        { concurrency: 1 },
      );
      await queue.wake([{ lane: 'slow', id: 'it', data: {} }]);
      await until(() => begun);
      expect(begun).toBe(true);
    });
    expect(finished).toBe(true);
  });

  test('what a killed process had under way is handled by the next one', async () => {
    const program = `
      const { openQueue } = await import(${JSON.stringify(resolve(import.meta.dirname, '../../src/queue/queue.ts'))});
      const { pino } = await import('pino');
      const queue = await openQueue({ origin: ${JSON.stringify(ORIGIN)}, ...${JSON.stringify(ground)}, logger: pino({ level: 'silent' }) });
      queue.work('killed', () => { console.log('begun'); return new Promise(() => {}); }, { concurrency: 1 });
      await queue.wake([{ lane: 'killed', id: 'it', data: {} }]);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: resolve(import.meta.dirname, '../..'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: child.stdout }), 'line');
    child.kill('SIGKILL');
    await withQueue(async (queue) => {
      let calls = 0;
      const start = performance.now();
      queue.work('killed', async () => void calls++, { concurrency: 1 });
      await until(() => calls > 0, 20_000);
      console.log(`handled ${Math.round(performance.now() - start)} ms after the kill`);
      expect(calls).toBe(1);
    });
  });

  test('an id that a broker would take for something else is refused', async () => {
    await withQueue(async (queue) => {
      for (const id of ['1', 'a:b', '', 'A']) {
        await expect(queue.wake([{ lane: 'names', id, data: {} }])).rejects.toMatchObject({ code: 'queue-name' });
      }
    });
  });
});

describe.each(QUEUE_GROUNDS)('two services on one $name', ({ open }) => {
  test('have their own wake-ups and schedules', async () => {
    const ground = await open();
    const seen: string[] = [];
    const queues = await Promise.all(
      ['one.example', 'two.example'].map(async (origin) => {
        const queue = await openQueue({ origin, ...ground, logger });
        queue.work('shared', async (data) => void seen.push(`${origin} ${JSON.stringify(data)}`), { concurrency: 1 });
        return queue;
      }),
    );
    const [one, two] = queues;
    expect(await one?.wake([{ lane: 'shared', id: 'it', data: { of: 1 } }])).toBe(true);
    expect(await two?.wake([{ lane: 'shared', id: 'it', data: { of: 2 } }])).toBe(true);
    one?.every({ lane: 'shared', id: 'tick', data: {} }, 60_000);
    await expect.poll(() => one?.nextRun({ lane: 'shared', id: 'tick', data: {} })).toBeGreaterThan(0);
    expect(await two?.nextRun({ lane: 'shared', id: 'tick', data: {} })).toBeNull();
    await until(() => seen.length >= 2);
    await pause(300);
    expect(seen.filter((text) => !text.endsWith('{}')).toSorted()).toEqual([
      'one.example {"of":1}',
      'two.example {"of":2}',
    ]);
    await Promise.all(queues.map((queue) => queue.close()));
    await ground.stop();
  });
});

test.skipIf(redisMissing !== null)(
  'schedules of a release before, when all services shared a name, are removed',
  async () => {
    const [database, redis] = await Promise.all([testDatabase(), testRedis()]);
    const { hostname, port } = new URL(redis.url);
    const former = new BullQueue('rounds', { connection: { host: hostname, port: Number(port) }, prefix: 'antequem' });
    await former.upsertJobScheduler('close', { every: 60_000 }, { name: 'wake', data: { task: 'close' } });
    const queue = await openQueue({ origin: ORIGIN, databaseUrl: database.url, redisUrl: redis.url, logger });
    await queue.removeFormerSchedules(['rounds']);
    expect(await former.getJobSchedulers()).toEqual([]);
    await Promise.all([queue.close(), former.close()]);
    await redis.stop();
    await database.drop();
  },
);

test.skipIf(redisMissing !== null)(
  'a Redis that is away holds nobody up, and work goes on when it is back',
  async () => {
    const [database, redis] = await Promise.all([testDatabase(), testRedis()]);
    await redis.down();
    const queue = await openQueue({ origin: ORIGIN, databaseUrl: database.url, redisUrl: redis.url, logger });
    try {
      let calls = 0;
      queue.work('tick', async () => void calls++, { concurrency: 1 });
      queue.every({ lane: 'tick', id: 'tick', data: {} }, 300);
      expect(await queue.wake([{ lane: 'tick', id: 'lost', data: {} }])).toBe(false);
      await redis.up();
      await until(() => calls > 2, 15_000);
      expect(calls).toBeGreaterThan(2);
      await redis.down();
      expect(await queue.wake([{ lane: 'tick', id: 'lost', data: {} }])).toBe(false);
      const before = calls;
      await redis.up();
      await until(() => calls > before, 15_000);
      expect(calls).toBeGreaterThan(before);
    } finally {
      await queue.close();
      await redis.stop();
      await database.drop();
    }
  },
);

test('a database that does not answer is told at the start', async () => {
  const database = await testDatabase();
  await database.drop();
  await expect(openQueue({ origin: ORIGIN, databaseUrl: database.url, logger })).rejects.toThrow(/does not exist/);
});
