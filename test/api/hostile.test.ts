import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { body, call, expectCivil, headers, INTERNALS, query } from '../support/hostile-requests.ts';
import { documentedProblems } from '../support/problems.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type TestService, testService } from '../support/service.ts';

let service: TestService;
let documented: Map<string, number>;

beforeAll(async () => {
  documented = await documentedProblems();
  service = await testService();
  await service.send('PUT', '/v1/logs/demo');
  await service.send('POST', '/v1/logs/demo/entries?split=lines', { body: 'a\nb\nc' });
  await service.closeRound();
});
afterAll(() => service[Symbol.asyncDispose]());

async function totalSize(): Promise<number> {
  const { rows } = await service.foundation.database.query<{ size: number }>(
    'SELECT sum(size)::int AS size FROM log_states',
  );
  return rows[0]?.size ?? 0;
}

/** The size once nothing is under way any more: whoever sent a whole body and left has had it appended. */
async function settledSize(): Promise<number> {
  for (let before = await totalSize(); ; ) {
    await new Promise((resolve) => setTimeout(resolve, 400));
    const now = await totalSize();
    if (now === before) return now;
    before = now;
  }
}

describe('whatever is sent', () => {
  // Ten thousand of them, and what the service's memory makes of it: test/scale/hostile.scale.ts.
  it('is understood or refused, and only what is understood is written', async () => {
    let size = await totalSize();
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(call, query, headers, body, async ([verb, target], search, head, content) => {
        const answer = await sendRaw(service.url, requestText(verb, target + search, head, content));
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        expectCivil(answer, documented);
        const now = await totalSize();
        if (answer.status >= 400) expect(now).toBe(size);
        size = now;
      }),
      { numRuns: 1_500, endOnFailure: true },
    );
    // It was no mere knocking on closed doors; how often each opened is chance.
    for (const status of [200, 201, 400, 404, 405]) expect(statuses.get(status) ?? 0).toBeGreaterThan(0);
    expect((await service.send('GET', '/readyz')).status).toBe(200);
    expect(service.logged()).not.toContain('request failed');
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['TLS', Uint8Array.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])],
    ['no Host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n'],
    [
      'two lengths',
      'POST /v1/logs/demo/entries HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    ],
    [
      'length and chunks',
      'POST /v1/logs/demo/entries HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    ],
    ['a negative length', 'POST /v1/logs/demo/entries HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\na'],
    [
      'broken chunks',
      'POST /v1/logs/demo/entries HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc',
    ],
    ['a header folded', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n'],
    ['a null byte', 'GET /v1/logs HTTP/1.1\r\nHost: local\0host\r\n\r\n'],
    ['a head of 20 KiB', requestText('GET', '/v1/logs', { Cookie: 'x'.repeat(20_480) })],
    ['a path of 20 KiB', requestText('GET', `/v1/logs/${'x'.repeat(20_480)}`)],
    [
      'thousands of headers',
      requestText('GET', '/v1/logs', Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`X-${i}`, '1']))),
    ],
    ['an upgrade', requestText('GET', '/v1/logs', { Connection: 'Upgrade', Upgrade: 'websocket' })],
    ['CONNECT', 'CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n'],
    ['an unheard-of expectation', requestText('GET', '/v1/logs', { Expect: 'the unexpected' })],
  ])('is no HTTP to speak of: %s', async (_, bytes) => {
    const before = await settledSize();
    const answer = await sendRaw(service.url, bytes, 'end');
    expect(answer.status === 0 || answer.status === 200 || (answer.status >= 400 && answer.status < 500)).toBe(true);
    expect(answer.text).not.toMatch(INTERNALS);
    expect(await settledSize()).toBe(before);
    expect((await service.send('GET', '/healthz')).status).toBe(200);
  });

  it.each([
    ['a length', `${'x'.repeat(5)}`, { 'Content-Length': '10' }],
    ['chunks', '5\r\nxxxxx\r\n', { 'Transfer-Encoding': 'chunked' }],
    ['chunks that break', '5\r\nxxxxx\r\nzz\r\n', { 'Transfer-Encoding': 'chunked' }],
  ])('writes nothing of a body that breaks off, after %s', async (_, sent, headers) => {
    const before = await settledSize();
    for (const then of ['end', 'cut'] as const) {
      const requests = Array.from({ length: 8 }, () =>
        sendRaw(service.url, requestText('POST', '/v1/logs/demo/entries', { ...headers }, '') + sent, then),
      );
      for (const { status } of await Promise.all(requests)) expect([0, 400]).toContain(status);
    }
    expect(await settledSize()).toBe(before);
  });

  it('is answered one after the other where it comes all at once', async () => {
    const append = requestText('POST', '/v1/logs/demo/entries', { Connection: 'keep-alive' }, 'piped');
    const last = requestText('GET', '/healthz');
    const { text } = await sendRaw(service.url, append.repeat(20) + last);
    const indices = [...text.matchAll(/"index":(\d+)/g)].map(([, index]) => Number(index));
    expect(indices).toEqual(Array.from({ length: 20 }, (_, i) => (indices[0] ?? 0) + i));
    expect(text).toContain('{"status":"ok"}');
  });
});
