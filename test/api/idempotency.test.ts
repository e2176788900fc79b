import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

/** A log of its own. */
async function newLog(): Promise<string> {
  const name = `idempotent-${names++}`;
  expect((await service.send('PUT', `/v1/logs/${name}`)).status).toBe(201);
  return name;
}

async function sizeOf(log: string): Promise<unknown> {
  return (await service.send('GET', `/v1/logs/${log}`)).at('size');
}

describe('Idempotency-Key', () => {
  it('makes the second sending the echo of the first', async () => {
    const log = await newLog();
    const send = (body: string, type = 'text/plain', query = ''): Promise<Answer> =>
      service.send('POST', `/v1/logs/${log}/entries${query}`, {
        body,
        headers: { 'idempotency-key': 'order-17', 'content-type': type },
      });
    const first = await send('paid\n');
    expect(first.status).toBe(201);
    for (const again of [await send('paid\n'), await send('paid\n', 'application/octet-stream')]) {
      expect([again.status, again.json]).toEqual([201, first.json]);
    }
    for (const other of [
      await send('not paid'),
      await send('paid\n', 'application/x-ndjson'),
      await send('paid\n', '', '?split=lines'),
    ]) {
      expect([other.status, other.code]).toEqual([422, 'idempotency-key-reused']);
    }
    expect(await sizeOf(log)).toBe(1);
  });

  it('counts in one log alone, and for compressed bodies by what they hold', async () => {
    const [log, other] = [await newLog(), await newLog()];
    const headers = { 'idempotency-key': 'k' };
    await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: 'a\nb', headers });
    const elsewhere = await service.send('POST', `/v1/logs/${other}/entries?split=lines`, { body: 'c', headers });
    expect(elsewhere.status).toBe(201);
    const zipped = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, {
      body: gzipSync('a\nb'),
      headers: { ...headers, 'content-encoding': 'gzip' },
    });
    expect(zipped.json).toMatchObject({ index: 0, count: 2 });
    expect(await sizeOf(log)).toBe(2);
  });

  it('is not spent by a request that was refused', async () => {
    const log = await newLog();
    const headers = { 'idempotency-key': 'k' };
    const refused = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: '\n', headers });
    expect(refused.code).toBe('batch-empty');
    expect((await service.send('POST', `/v1/logs/${log}/entries`, { body: 'x', headers })).status).toBe(201);
  });

  it.each(['', 'with space', 'é', 'x'.repeat(256)])('is refused where it is none: %j', async (key) => {
    const log = await newLog();
    const text = requestText('POST', `/v1/logs/${log}/entries`, { 'Idempotency-Key': key }, 'x');
    const answer = await sendRaw(service.url, text);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('"idempotency-key-invalid"');
    expect(await sizeOf(log)).toBe(0);
  });

  it('stores a request once that comes thirty times at once', async () => {
    const log = await newLog();
    const answers = await Promise.all(
      Array.from({ length: 30 }, () =>
        service.send('POST', `/v1/logs/${log}/entries`, { body: 'x', headers: { 'idempotency-key': 'k' } }),
      ),
    );
    expect(await sizeOf(log)).toBe(1);
    for (const { status, code } of answers)
      expect([
        [201, null],
        [409, 'idempotency-key-in-flight'],
      ]).toContainEqual([status, code]);
  });
});
