import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseProxy } from '../support/database-proxy.ts';
import { type TestService, testService } from '../support/service.ts';

const proxy = new DatabaseProxy();
let service: TestService;

beforeAll(async () => {
  await proxy.listen();
  service = await testService({ via: (url) => proxy.via(url) });
  await service.send('PUT', '/v1/logs/demo');
  await service.send('POST', '/v1/logs/demo/entries', { body: 'before' });
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await proxy.cut();
});

async function untilReady(): Promise<void> {
  while ((await service.send('GET', '/readyz')).status !== 200) await sleep(50);
}

describe('a service whose database', () => {
  it('is there is alive and ready', async () => {
    expect((await service.send('GET', '/healthz')).json).toEqual({ status: 'ok' });
    const ready = await service.send('GET', '/readyz');
    expect([ready.status, ready.at('status')]).toEqual([200, 'ready']);
  });

  it('is gone lives, is not ready, says so of everything, and comes back by itself', async () => {
    await proxy.cut();
    expect((await service.send('GET', '/healthz')).status).toBe(200);
    const calls = [
      ['GET', '/readyz'],
      ['GET', '/v1/logs'],
      ['GET', '/v1/logs/demo'],
      ['PUT', '/v1/logs/new'],
      ['POST', '/v1/logs/demo/entries'],
      ['GET', '/v1/logs/demo/entries/0/receipt?wait=5'],
      ['GET', '/logs/demo/checkpoint'],
      ['GET', '/v1/rounds'],
    ] as const;
    for (const [method, path] of calls) {
      const answer = await service.send(method, path, method === 'POST' ? { body: 'lost' } : {});
      expect([path, answer.status, answer.code]).toEqual([path, 503, 'database-unavailable']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(answer.text).not.toMatch(/127\.0\.0\.1|ECONN|postgres|\//);
    }
    await proxy.listen();
    await untilReady();
    const again = await service.send('POST', '/v1/logs/demo/entries', { body: 'after' });
    expect([again.status, again.at('index')]).toEqual([201, 1]);
  });

  it('breaks off in the middle of an append stores it once, however often it is sent', async () => {
    const before = Number((await service.send('GET', '/v1/logs/demo')).at('size'));
    const headers = { 'idempotency-key': 'once' };
    const body = `${'x'.repeat(100)}\n`.repeat(5_000);
    let broken = 0;
    for (let i = 0; ; i++) {
      expect(i).toBeLessThan(150);
      const sent = service.send('POST', '/v1/logs/demo/entries?split=lines', { body, headers });
      // A little later each time, so that it meets every stage of the commit.
      await sleep(4 * i);
      await proxy.cut();
      const answer = await sent;
      await proxy.listen();
      if (answer.status === 201) {
        expect(answer.json).toMatchObject({ index: before, count: 5_000 });
        break;
      }
      expect([answer.status, answer.code]).toEqual([503, 'database-unavailable']);
      broken++;
    }
    expect(broken).toBeGreaterThan(0);
    await untilReady();
    expect((await service.send('GET', '/v1/logs/demo')).at('size')).toBe(before + 5_000);
  });

  it('hangs is not ready after three seconds', async () => {
    proxy.freeze();
    const answer = await service.send('GET', '/readyz');
    expect([answer.status, answer.code]).toEqual([503, 'database-unavailable']);
    expect((await service.send('GET', '/healthz')).status).toBe(200);
    proxy.thaw();
    await untilReady();
  });
});
