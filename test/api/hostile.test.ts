import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { documentedProblems } from '../support/problems.ts';
import { type RawAnswer, requestText, sendRaw } from '../support/raw-http.ts';
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

const INTERNALS =
  /node_modules|\/src\/|\.ts:\d|at async|SELECT|INSERT|relation "|syntax error|postgres|ECONN|undefined|\[object/;

/** Understood, or refused as the client's fault with a documented problem; nothing of the inside shows. */
function expectCivil(answer: RawAnswer): void {
  expect(answer.status).toBeGreaterThanOrEqual(200);
  expect(answer.status).toBeLessThan(500);
  expect([300, 301, 302, 303, 307, 308]).not.toContain(answer.status);
  if (answer.status < 400 || !answer.text.includes('application/problem+json')) return;
  const code = /"code":"([a-z-]+)"/.exec(answer.text)?.[1];
  if (code !== undefined) expect([code, documented.get(code)]).toEqual([code, answer.status]);
  expect(answer.text).not.toMatch(INTERNALS);
}

const nasty = fc.constantFrom(
  '',
  '0',
  '-1',
  '-0',
  '1e3',
  '3',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551616',
  'NaN',
  '%00',
  '%ff%fe',
  '%',
  '..',
  '%2e%2e%2f',
  "'%20OR%201=1--",
  '__proto__',
  'constructor',
  'x'.repeat(3_000),
  '%F0%9F%92%A9',
  '_system',
  'demo',
  '000',
  'x001',
);
const written = fc.string({ maxLength: 30 }).map((text) => encodeURIComponent(text.toWellFormed()));
const segment = fc.oneof({ weight: 3, arbitrary: nasty }, written);
const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('demo', '_system', 'absent') }, segment);
const path = fc.oneof(
  fc
    .tuple(name, fc.constantFrom('', '/entries', '/digests', '/proofs/consistency', '/entries/'))
    .map(([log, rest]) => `/v1/logs/${log}${rest}`),
  fc
    .tuple(name, segment, fc.constantFrom('', '/payload', '/receipt', '/receipt.path', '/receipt.ots', '/nothing'))
    .map(([log, index, rest]) => `/v1/logs/${log}/entries/${index}${rest}`),
  fc.tuple(name, fc.array(segment, { maxLength: 4 })).map(([log, parts]) => `/logs/${log}/tile/${parts.join('/')}`),
  name.map((log) => `/logs/${log}/checkpoint`),
  segment.map((number) => `/v1/rounds/${number}`),
  fc.constantFrom('/v1/logs', '/v1/entries', '/v1/rounds', '/v1/verify', '/healthz', '/readyz', '/'),
  fc.array(segment, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`),
);
const parameter = fc.constantFrom(
  'from',
  'to',
  'limit',
  'after',
  'before',
  'digest',
  'split',
  'blinded',
  'until',
  '__proto__',
  'from[]',
  '',
);
const query = fc
  .array(fc.tuple(parameter, segment), { maxLength: 3 })
  .map((pairs) => (pairs.length === 0 ? '' : `?${pairs.map(([key, value]) => `${key}=${value}`).join('&')}`));
const headerValue = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'gzip',
    'br',
    'chunked-ish',
    'application/json',
    'application/x-ndjson',
    'text/plain; charset=utf-16',
    '"',
    ';;;',
    '*',
    'x'.repeat(2_000),
  ),
  fc.string({ maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e]/g, '?')),
);
const headers = fc.dictionary(
  fc.constantFrom(
    'Content-Type',
    'Content-Encoding',
    'Idempotency-Key',
    'Authorization',
    'Accept',
    'If-None-Match',
    'If-Modified-Since',
    'Range',
    'X-Forwarded-For',
    'X-HTTP-Method-Override',
    'Cookie',
    'Origin-Trial',
    'Accept-Encoding',
  ),
  headerValue,
  { maxKeys: 4 },
);
const body = fc.oneof(
  fc.constant(''),
  fc.json({ maxDepth: 4 }),
  fc.string({ unit: 'binary', maxLength: 200 }).map((text) => text.toWellFormed()),
  fc.constantFrom(
    '{"digests":',
    '{"digests":[null]}',
    '{"receipt":{"format":"antequem-receipt/v1"}}',
    '[[[[[[',
    '\n\n\n',
    '\r\n',
    '\0',
    '{"__proto__":{"digests":[]}}',
    '"\\ud800"',
  ),
);
const anyMethod = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'QUERY',
);
/** Mostly a method and a path that go together: what is refused at the door tests the door alone. */
const call = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constant('GET'), path) },
  { weight: 3, arbitrary: name.map((log) => ['POST', `/v1/logs/${log}/entries`] as const) },
  { weight: 2, arbitrary: name.map((log) => ['POST', `/v1/logs/${log}/digests`] as const) },
  { weight: 1, arbitrary: fc.constant(['POST', '/v1/verify'] as const) },
  {
    weight: 2,
    arbitrary: fc
      .oneof(name, fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/))
      .map((log) => ['PUT', `/v1/logs/${log}`] as const),
  },
  { weight: 2, arbitrary: fc.tuple(anyMethod, path) },
);

async function totalSize(): Promise<number> {
  const { rows } = await service.foundation.database.query<{ size: number }>('SELECT sum(size)::int AS size FROM logs');
  return rows[0]?.size ?? 0;
}

/** The size once nothing is under way any more: whoever sent a whole body and left has had it appended. */
async function settledSize(): Promise<number> {
  for (let before = await totalSize(); ; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await totalSize();
    if (now === before) return now;
    before = now;
  }
}

describe('whatever is sent', () => {
  it('is understood or refused, and only what is understood is written', async () => {
    const before = await totalSize();
    let written = 0;
    let logs = 0;
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(call, query, headers, body, async ([verb, target], search, head, content) => {
        const answer = await sendRaw(service.url, requestText(verb, target + search, head, content));
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        expectCivil(answer);
        if (verb === 'POST' && answer.status === 201) written += Number(/"count":(\d+)/.exec(answer.text)?.[1]);
        if (verb === 'PUT' && answer.status === 201) logs++;
      }),
      { numRuns: 2_000, endOnFailure: true },
    );
    // Each new log is an entry of _system.
    expect((await totalSize()) - before).toBe(written + logs);
    // It was no mere knocking on closed doors.
    for (const status of [200, 201, 400, 404, 405]) expect(statuses.get(status) ?? 0).toBeGreaterThan(20);
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
    expect(await totalSize()).toBe(before);
    expect((await service.send('GET', '/healthz')).status).toBe(200);
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
