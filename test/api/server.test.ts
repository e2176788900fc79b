import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen } from '../../src/api/server.ts';
import { type Config, isLoopback } from '../../src/config.ts';
import { serve } from '../../src/main.ts';
import { openFoundation, realEffects } from '../../src/start/foundation.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { testConfig, testService } from '../support/service.ts';

const silent = pino({ level: 'silent' });

describe('a connection', () => {
  const timeouts = {
    headersTimeout: 300,
    requestTimeout: 600,
    keepAliveTimeout: 5_000,
    connectionsCheckingInterval: 50,
  };
  const timed = async (work: Promise<{ status: number }>): Promise<[number, number]> => {
    const start = performance.now();
    return [(await work).status, performance.now() - start];
  };

  it('that is slow is closed, one that merely idles is not', async () => {
    const server = await listen(
      (request, response) => void request.resume().on('end', () => response.end('done')),
      { host: '127.0.0.1', port: 0 },
      timeouts,
    );
    const slow = requestText('POST', '/', { 'Content-Length': '100' }, 'abc');
    const [silence, head, body, idle] = await Promise.all([
      timed(sendRaw(server.url, '')),
      timed(sendRaw(server.url, slow.slice(0, 20))),
      timed(sendRaw(server.url, slow)),
      (async () => {
        const first = await (await fetch(server.url)).text();
        await sleep(1_000);
        return first + (await (await fetch(server.url)).text());
      })(),
    ]);
    expect([0, 408]).toContain(silence[0]);
    expect(head[0]).toBe(408);
    expect(body[0]).toBe(408);
    expect(body[1]).toBeGreaterThan(500);
    expect(idle).toBe('donedone');
    await server.close();
  });

  it('to a port that is taken does not come about', async () => {
    const first = await listen((_, response) => void response.end(), { host: '127.0.0.1', port: 0 });
    const port = Number(new URL(first.url).port);
    await expect(listen((_, response) => void response.end(), { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    await first.close();
  });
});

describe('stopping', () => {
  it('answers what is under way, and does not wait for those who always have more', async () => {
    await using service = await testService();
    await service.send('PUT', '/v1/logs/demo');
    let answered = 0;
    let stopping = false;
    const statuses = new Set<number>();
    const client = async (): Promise<void> => {
      for (;;) {
        try {
          const { status } = await service.send('POST', '/v1/logs/demo/entries', { body: 'x' });
          statuses.add(status);
          if (status === 201) answered++;
        } catch {
          // No connection any more, which may only be so once it stops.
          expect(stopping).toBe(true);
          return;
        }
      }
    };
    const clients = Array.from({ length: 8 }, client);
    await expect.poll(() => answered, { timeout: 120_000 }).toBeGreaterThan(16);
    stopping = true;
    // Without an end to waiting for clients the test would never come here.
    await service.stop();
    await Promise.all(clients);
    expect([...statuses]).toEqual([201]);
    const { rows } = await service.foundation.database.query<{ size: number }>(
      "SELECT size FROM log_states WHERE name = 'demo'",
    );
    expect(rows[0]?.size).toBeGreaterThanOrEqual(answered);
  });
});

describe('beyond loopback', () => {
  let database: TestDatabase;
  let folder: string;
  let loopback: Config;
  beforeAll(async () => {
    database = await testDatabase();
    folder = await mkdtemp(join(tmpdir(), 'antequem-serve-'));
    loopback = await testConfig(database.url, folder);
  });
  afterAll(async () => {
    await database.drop();
    await rm(folder, { recursive: true });
  });

  it.each(['0.0.0.0', '::', '192.0.2.1', 'log.example.org'])(
    'nothing starts on %s without a key that is good',
    async (host) => {
      const config = { ...loopback, host };
      await expect(serve(config, silent)).rejects.toMatchObject({ code: 'keys-missing' });
      const { keys, database: pool } = await openFoundation(config, realEffects);
      const { key } = await keys.create('gone', ['admin'], null);
      await keys.revoke(key.id);
      await pool.end();
      await expect(serve(config, silent)).rejects.toMatchObject({ code: 'keys-missing' });
      await expect(serve({ ...config, open: true }, silent)).rejects.toMatchObject({ code: 'open-beyond-loopback' });
    },
  );

  it('is everything but loopback', () => {
    for (const host of ['127.0.0.1', '127.8.9.10', 'localhost', '::1', '[::1]']) expect(isLoopback(host)).toBe(true);
    for (const host of [
      '',
      '0.0.0.0',
      '::',
      '10.0.0.1',
      '127.0.0.1.evil.test',
      'localhost.evil.test',
      '1127.0.0.1',
      '::ffff:127.0.0.1',
    ]) {
      expect(isLoopback(host)).toBe(false);
    }
  });
});
