import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probeDatabase } from '../../src/metrics/readiness.ts';
import { openDatabase } from '../../src/store/database.ts';
import { redisMissing, testRedis } from '../support/redis.ts';
import { type TestService, testService } from '../support/service.ts';

const OPERATION = { rateLimit: null, metricsTokenFile: null, drainDelay: 0, webhookAllowPrivate: false };

describe('readiness', () => {
  let service: TestService;
  let ahead = 0;
  beforeAll(async () => {
    service = await testService({ ahead: () => ahead });
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const ready = async (): Promise<[number, string | null]> => {
    const { status, code } = await service.send('GET', '/readyz');
    return [status, code];
  };

  it('says what was looked at, and what is not recorded', async () => {
    const { status, json } = await service.send('GET', '/readyz');
    expect(status).toBe(200);
    expect(json).toEqual({
      status: 'ready',
      notices: [
        expect.stringContaining('no chain is configured'),
        expect.stringContaining('shows only where it was anchored'),
      ],
      checks: {
        database: 'ok',
        migrations: 'ok',
        clock: 'ok',
        published: 'not recorded',
        queue: 'ok',
        targets: 'ok',
      },
    });
  });

  it('ends where the clocks are so far apart that appends are refused', async () => {
    await service.send('PUT', '/v1/logs/skewed');
    for (const skew of [61_000, -61_000]) {
      ahead = skew;
      expect(await ready()).toEqual([503, 'clock-skew']);
      expect((await service.send('POST', '/v1/logs/skewed/entries', { body: 'x' })).code).toBe('clock-skew');
    }
    ahead = 0;
    expect(await ready()).toEqual([200, null]);
  });

  it('ends while the database takes no writes, and gives sessions up once that is over, not at each look', async () => {
    const { database } = service.foundation;
    const { rows } = await database.query<{ name: string }>('SELECT current_database() AS name');
    const [name, time] = [rows[0]?.name, { now: Date.now }];
    const alter = (text: string): Promise<unknown> =>
      database.query(`BEGIN READ WRITE; ALTER DATABASE ${name} ${text}; COMMIT`);
    await alter('SET default_transaction_read_only = on');
    const pool = openDatabase(service.config.databaseUrl, { connections: 1, name: 'told so' });
    const session = async (): Promise<number | undefined> =>
      (await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
    const first = await session();
    for (let i = 0; i < 3; i++) expect((await probeDatabase(pool, time)).readOnly).toBe(true);
    expect(await session()).toBe(first);
    await alter('RESET default_transaction_read_only');
    expect((await probeDatabase(pool, time)).readOnly).toBe(false);
    expect(await session()).not.toBe(first);
    await pool.end();
  });

  it('ends where the database is of an older release, and notes where it is of a newer one', async () => {
    const { database } = service.foundation;
    await database.query("UPDATE migrations SET name = '9999_future.sql' WHERE name = '0005_erasure.sql'");
    expect(await ready()).toEqual([503, 'schema-older']);
    await database.query("INSERT INTO migrations (name) VALUES ('0005_erasure.sql')");
    const answer = await service.send('GET', '/readyz');
    expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('a newer release has migrated')]);
    await database.query("DELETE FROM migrations WHERE name = '9999_future.sql'");
  });
});

describe('readiness notes, without ending,', () => {
  it('targets that are stopped, accounts that hold little, webhooks that fail', async () => {
    await using service = await testService();
    const { database } = service.foundation;
    await database.query(
      `INSERT INTO targets (name, chain, contract, mode, ephemeral, first_round, created_at, stopped_at, stop_code, stop_reason)
       VALUES ('main', 'eip155:1', '0x' || repeat('ab', 20), 'anchor', false, 1, 0, 1, 'nonce-foreign', 'somebody')`,
    );
    await database.query(
      `INSERT INTO evm_accounts (chain, address, target, created_at, balance, balance_low, balance_at)
       VALUES ('eip155:1', '0x' || repeat('cd', 20), 'main', 0, 7, true, 0)`,
    );
    await database.query(
      `INSERT INTO webhooks (id, url, description, events, created_at, disabled_at)
       VALUES ('wh_0000000000000000', 'https://x', '', '{round.closed}', 0, 1)`,
    );
    const { status, json, text } = await service.send('GET', '/readyz');
    expect(status).toBe(200);
    expect(json).toMatchObject({
      notices: expect.arrayContaining([
        'the target main is stopped (nonce-foreign): antequem anchors',
        'the account of the target main holds little: send it more',
        '1 webhooks are disabled: their receivers are gone',
      ]),
      checks: { targets: 'stopped' },
    });
    // It is told to anybody.
    expect(text).not.toContain('cdcd');
  });

  it.skipIf(redisMissing !== null)(
    `a queue and a guard store that are away${redisMissing === null ? '' : ` (skipped: ${redisMissing})`}`,
    async () => {
      const redis = await testRedis();
      try {
        await using service = await testService({ config: { redisUrl: redis.url } });
        await redis.down();
        const { status, json } = await service.send('GET', '/readyz');
        expect(status).toBe(200);
        expect(json).toMatchObject({ checks: { queue: 'silent', published: 'silent' } });
        await service.send('PUT', '/v1/logs/demo');
        expect((await service.send('POST', '/v1/logs/demo/entries', { body: 'x' })).status).toBe(201);
      } finally {
        await redis.stop();
      }
    },
  );
});

describe('draining', () => {
  it('tells the load balancer first, goes on answering meanwhile, and finishes what is under way', async () => {
    await using service = await testService({ config: { operation: { ...OPERATION, drainDelay: 1_000 } } });
    await service.send('PUT', '/v1/logs/demo');
    const holder = await service.foundation.database.connect();
    await holder.query('BEGIN');
    await holder.query("SELECT 1 FROM logs WHERE name = 'demo' FOR UPDATE");
    const underWay = service.send('POST', '/v1/logs/demo/entries', { body: 'under way' });
    const stopped = service.stop();
    const ready = await service.send('GET', '/readyz');
    expect([ready.status, ready.code]).toEqual([503, 'draining']);
    expect((await service.send('GET', '/healthz')).status).toBe(200);
    // Past the delay, when the door is shut.
    for (;;) {
      await sleep(50);
      if (
        await service.send('GET', '/healthz').then(
          () => false,
          () => true,
        )
      )
        break;
    }
    await holder.query('ROLLBACK');
    holder.release();
    expect((await underWay).status).toBe(201);
    await stopped;
  });
});

describe('a request', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await testService();
    await service.send('PUT', '/v1/logs/demo');
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const idOf = async (path: string, given?: string): Promise<string | null> => {
    const { headers } = await service.send(
      'GET',
      path,
      given === undefined ? {} : { headers: { 'x-request-id': given } },
    );
    return headers.get('x-request-id');
  };

  it('has a name of its own, or the one it came with', async () => {
    const names = await Promise.all(Array.from({ length: 3 }, () => idOf('/healthz')));
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf('/v1/logs', 'job-7/attempt:2')).toBe('job-7/attempt:2');
    const sent = await service.send('POST', '/v1/logs/demo/entries', { body: 'x', headers: { 'x-request-id': 'a.b' } });
    expect([sent.status, sent.headers.get('x-request-id')]).toEqual([201, 'a.b']);
  });

  it.each(['', ' ', 'a b', 'x'.repeat(129), '"quoted"', '{"json":1}', 'a,b'])('is not named %j', async (given) => {
    expect(await idOf('/healthz', given)).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is found in the log by the name in its problem, without its secrets', async () => {
    const token = 'aq_0123456789abcdef_secret-secret-secret-secret-secret-secret-s';
    const { json } = await service.send('GET', '/v1/logs/nobody?x=hunter2', {
      token,
      headers: { 'x-request-id': 'find-me', cookie: 'antequem=hunter3' },
    });
    expect(json).toMatchObject({ requestId: 'find-me' });
    const line =
      service
        .logged()
        .split('\n')
        .find((each) => each.includes('find-me')) ?? '';
    expect(JSON.parse(line)).toMatchObject({
      requestId: 'find-me',
      method: 'GET',
      path: '/v1/logs/nobody',
      status: 404,
    });
    expect(service.logged()).not.toMatch(/hunter|secret-secret/);
  });
});
