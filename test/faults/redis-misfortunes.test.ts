// The table of misfortunes of Redis, on real servers: appends never depend on it, and everything that fails is told.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { finished, start } from '../cli/command.ts';
import { freePort } from '../support/debian-postgres.ts';
import { DEEP } from '../support/deep.ts';
import { ORIGIN } from '../support/instance.ts';
import { type ReadyAnswer, Sufferer, tableOf } from '../support/misfortune.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { redisMissing, type TestRedis, testRedis } from '../support/redis.ts';

const rows: string[][] = [['misfortune', 'append', 'checks.queue', 'queue_up', 'afterwards', 'answered and lost']];
/** Undone after each test, the last first. */
const undo: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (let next = undo.pop(); next !== undefined; next = undo.pop()) await next();
});
afterAll(() => console.log(tableOf(rows)));

async function open(options: readonly string[] = []): Promise<{ redis: TestRedis; database: TestDatabase }> {
  const [redis, database] = await Promise.all([testRedis(options), testDatabase()]);
  undo.push(
    () => database.drop(),
    () => redis.stop(),
  );
  return { redis, database };
}

async function suffer(
  database: TestDatabase,
  redisUrl: string,
  settings: Record<string, string> = {},
): Promise<Sufferer> {
  const service = await Sufferer.open({ DATABASE_URL: database.url, REDIS_URL: redisUrl, ...settings });
  undo.push(() => service.close());
  await closesRounds(service);
  return service;
}

/** New entries get into a round. */
async function closesRounds(service: Sufferer): Promise<void> {
  const before = await service.lastRound();
  expect(await service.append()).toBe('201');
  await expect.poll(() => service.lastRound(), { timeout: 120_000, interval: 200 }).toBeGreaterThan(before);
}

/** What `/readyz` says once the queue's check is as given. */
async function told(service: Sufferer, check: RegExp): Promise<ReadyAnswer> {
  await expect
    .poll(async () => (await service.readiness()).checks.queue, { timeout: 120_000, interval: 500 })
    .toMatch(check);
  return service.readiness();
}

describe.skipIf(redisMissing !== null)('Redis', () => {
  test.each(
    [
      {
        name: 'gone',
        strike: (redis: TestRedis) => redis.down(),
        mend: (redis: TestRedis) => redis.up(),
        says: /does not answer/,
      },
      {
        name: 'full',
        strike: (redis: TestRedis) => redis.call('CONFIG', 'SET', 'maxmemory', '1'),
        mend: (redis: TestRedis) => redis.call('CONFIG', 'SET', 'maxmemory', '0'),
        says: /refuses writes \(OOM/,
      },
      {
        name: 'demoted to a replica',
        strike: (redis: TestRedis) => redis.call('REPLICAOF', '127.0.0.1', '1'),
        mend: (redis: TestRedis) => redis.call('REPLICAOF', 'NO', 'ONE'),
        says: /is a replica and takes no writes/,
      },
      {
        name: 'refuses writes since it cannot save',
        strike: async (redis: TestRedis) => {
          await redis.call('CONFIG', 'SET', 'min-replicas-to-write', '1');
        },
        mend: (redis: TestRedis) => redis.call('CONFIG', 'SET', 'min-replicas-to-write', '0'),
        says: /refuses writes \(NOREPLICAS/,
      },
    ].filter((_, i) => DEEP || i < 2),
  )(
    '$name',
    async ({ name, strike, mend, says }) => {
      const { redis, database } = await open();
      const folder = await mkdtemp(join(tmpdir(), 'antequem-redis-guard-'));
      undo.push(() => rm(folder, { recursive: true }));
      const service = await suffer(database, redis.url, { LOG_GUARD_FILE: join(folder, 'guard') });
      await strike(redis);
      const { notices, checks, says: ready } = await told(service, /silent|failing/);
      expect(ready).toBe('ready');
      if (checks.queue === 'failing') expect(notices.join('\n')).toMatch(says);
      const up = await service.metric('antequem_queue_up');
      expect(up).toBe(0);
      const answer = await service.append();
      expect(answer).toBe('201');
      await mend(redis);
      await told(service, /ok/);
      await closesRounds(service);
      const lost = await service.lost();
      expect(lost).toBe(0);
      rows.push([name, answer, checks.queue ?? '', String(up), 'rounds are closed again', String(lost)]);
    },
    180_000,
  );

  test('flushed, and with it the record of what was published', async () => {
    const { redis, database } = await open();
    const service = await suffer(database, redis.url);
    await fetch(`${service.url}/logs/demo/checkpoint`);
    await redis.flush();
    // Schedules come back by themselves, and the loss is told at once.
    await closesRounds(service);
    await expect
      .poll(async () => (await service.readiness()).notices.join('\n'), { timeout: 120_000 })
      .toContain('has lost what was recorded of what was published');
    const { checks } = await service.readiness();
    expect(checks.published).toBe('incomplete');
    const lost = await service.lost();
    expect(lost).toBe(0);
    rows.push(['flushed', '201', checks.queue ?? '', '1', 'told; rounds are closed', String(lost)]);
  }, 180_000);

  test('that may evict what the queue keeps', async () => {
    const { redis, database } = await open(['--maxmemory-policy', 'allkeys-lru']);
    const service = await suffer(database, redis.url);
    const { notices, checks } = await service.readiness();
    expect(notices.join('\n')).toContain('has the maxmemory-policy allkeys-lru');
    // What it keeps of a job is dropped, and its place in the queue stays.
    const keys = await redis.call('KEYS', 'antequem-*:rounds:repeat:*:*');
    for (const key of Array.isArray(keys) ? keys : []) await redis.call('DEL', String(key));
    await closesRounds(service);
    const lost = await service.lost();
    expect(lost).toBe(0);
    rows.push(['evicts jobs', '201', checks.queue ?? '', '1', 'named; rounds are closed', String(lost)]);
  }, 180_000);

  test('Cluster is refused at start', async () => {
    const { redis, database } = await open(['--cluster-enabled', 'yes']);
    const { code, stderr } = await serveOnce(database, redis.url);
    expect(code).not.toBe(0);
    expect(stderr).toContain('is a Redis Cluster, which spreads what belongs together');
    expect(stderr).not.toContain('    at ');
    rows.push(['Cluster', 'refused at start', '-', '-', '-', '-']);
  });

  test('behind Sentinel, which makes another one the primary', async () => {
    const { redis, database } = await open();
    const replica = await testRedis(['--replicaof', '127.0.0.1', String(redis.port)]);
    undo.push(() => replica.stop());
    const sentinel = await startSentinel(redis.port);
    const service = await suffer(database, `redis+sentinel://127.0.0.1:${sentinel}/primary`);
    await expect.poll(() => replica.call('INFO', 'replication')).toContain('master_link_status:up');
    await redis.down();
    await expect.poll(() => replica.call('INFO', 'replication'), { timeout: 120_000 }).toContain('role:master');
    await told(service, /ok/);
    await closesRounds(service);
    const lost = await service.lost();
    expect(lost).toBe(0);
    rows.push(['Sentinel, primary killed', '201', 'ok', '1', 'rounds are closed by the new one', String(lost)]);
  }, 180_000);

  test('gone while the service is told to stop: it ends within the time that is promised', async () => {
    const { redis, database } = await open();
    const child = await serveChild(database, redis.url);
    await started(child);
    await redis.down();
    const ended = once(child, 'exit');
    const at = performance.now();
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
    const [code, signal] = await ended;
    clearTimeout(late);
    expect([code, signal]).toEqual([0, null]);
    rows.push(['gone, SIGTERM', '-', '-', '-', `ended after ${Math.round((performance.now() - at) / 1_000)} s`, '-']);
  }, 120_000);
});

async function settings(database: TestDatabase, redisUrl: string): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-redis-serve-'));
  undo.push(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'seed'), '07'.repeat(32));
  return { DATABASE_URL: database.url, REDIS_URL: redisUrl, ORIGIN, LOG_SEED_FILE: join(folder, 'seed'), PORT: '0' };
}

async function serveChild(database: TestDatabase, redisUrl: string): Promise<ChildProcess> {
  return start(['serve'], { env: await settings(database, redisUrl) });
}

async function serveOnce(database: TestDatabase, redisUrl: string): Promise<{ code: number | null; stderr: string }> {
  return finished(await serveChild(database, redisUrl), '');
}

async function started(child: ChildProcess): Promise<void> {
  let said = '';
  for await (const data of child.stdout ?? []) {
    said += String(data);
    // Each line is JSON, those of libraries too.
    if (said.includes('"msg":"started"')) break;
  }
  child.stdout?.resume();
}

/** A sentinel of one. @returns its port */
async function startSentinel(primary: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-sentinel-'));
  const port = await freePort();
  const file = join(folder, 'sentinel.conf');
  await writeFile(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor primary 127.0.0.1 ${primary} 1`,
      'sentinel down-after-milliseconds primary 1000',
      'sentinel failover-timeout primary 5000',
      '',
    ].join('\n'),
  );
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  undo.push(async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  });
  await sleep(500);
  return port;
}
