import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NAMED_CALLS, sendCall } from '../support/calls.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type TestService, testService } from '../support/service.ts';

describe('pages of other sites', () => {
  let keyed: TestService;
  let open: TestService;

  beforeAll(async () => {
    [keyed, open] = await Promise.all([testService({ open: false }), testService()]);
    await open.send('PUT', '/v1/logs/mine');
    await open.send('POST', '/v1/logs/mine/entries', { body: 'x' });
    const { token } = await keyed.key(['admin']);
    await keyed.send('PUT', '/v1/logs/mine', { token });
    await keyed.send('POST', '/v1/logs/mine/entries', { token, body: 'x' });
  });
  afterAll(async () => {
    await keyed[Symbol.asyncDispose]();
    await open[Symbol.asyncDispose]();
  });

  it.each(NAMED_CALLS)('may read %s only where it is public', async (_, call) => {
    const { headers } = await sendCall(keyed, call, { headers: { origin: 'https://elsewhere.test' } });
    expect(headers.get('access-control-allow-origin')).toBe(call.needs === 'nothing' ? '*' : null);
    expect(headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('are told so by a preflight', async () => {
    const headers = { origin: 'https://elsewhere.test', 'access-control-request-method': 'GET' };
    const tile = await keyed.send('OPTIONS', '/logs/mine/tile/0/000', { headers });
    expect([tile.status, tile.headers.get('access-control-allow-origin')]).toEqual([204, '*']);
    expect(tile.headers.get('access-control-allow-methods')).toBe('GET, HEAD');
    for (const path of ['/v1/logs/mine', '/v1/logs/mine/entries', '/v1/verify']) {
      const answer = await keyed.send('OPTIONS', path, { headers });
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, null]);
      expect(answer.headers.get('allow')).toMatch(/GET|POST/);
    }
  });

  it.each([
    ['localhost', 201],
    ['localhost:3963', 201],
    ['LOCALHOST:3963', 201],
    ['127.0.0.1', 201],
    ['[::1]:80', 201],
    ['evil.test', 403],
    ['localhost.evil.test', 403],
    ['localhost:80:80', 403],
    ['127.0.0.1.nip.io:3963', 403],
    ['localhost@evil.test', 403],
    ['0.0.0.0', 403],
    ['', 403],
  ])('under a name of their own reach an open service as little: Host %j', async (host, status) => {
    const answer = await sendRaw(open.url, requestText('POST', '/v1/logs/mine/entries', { Host: host }, 'x'));
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.text).toContain('"host-forbidden"');
  });

  it('reach nothing of an open service under a name of their own', async () => {
    const pages = ['/', '/verify', '/docs', '/metrics', '/nothing'].map((path) => ({ method: 'GET', path }));
    for (const { method, path } of [...NAMED_CALLS.map(([, call]) => call), ...pages]) {
      const { status, text } = await sendRaw(open.url, requestText(method, path, { Host: 'evil.test' }));
      expect([method, path, status]).toEqual([method, path, 403]);
      expect(text.includes('"host-forbidden"')).toBe(method !== 'HEAD');
    }
  });

  it.each([
    [{ 'Sec-Fetch-Site': 'cross-site' }, 403],
    [{ 'Sec-Fetch-Site': 'same-site' }, 403],
    [{ 'Sec-Fetch-Site': 'nonsense' }, 403],
    [{ Origin: 'https://elsewhere.test' }, 403],
    [{ Origin: 'null' }, 403],
    [{ Origin: 'http://localhost:4000', Host: 'localhost:3963' }, 403],
    [{ 'Sec-Fetch-Site': 'same-origin', Origin: 'http://localhost:3963', Host: 'localhost:3963' }, 201],
    [{ 'Sec-Fetch-Site': 'none' }, 201],
  ])('do not write to an open service: %j', async (headers, status) => {
    const answer = await sendRaw(open.url, requestText('POST', '/v1/logs/mine/entries', headers, 'x'));
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.text).toContain('"site-forbidden"');
  });

  it('have no other spelling of a path to get by', async () => {
    for (const target of [
      '/V1/logs',
      '/v1/Logs',
      '/v1/logs/',
      '//v1/logs',
      '/%761/logs',
      '/./v1/logs',
      '/x/../v1/logs',
      'http://evil.test/v1/logs',
    ]) {
      const { status, text } = await sendRaw(open.url, requestText('GET', target, { Host: 'evil.test' }));
      expect([target, [403, 404].includes(status)]).toEqual([target, true]);
      expect(text).not.toContain('log.test');
    }
  });

  it('read checkpoints, tiles and health of an open service', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.test' };
    for (const path of ['/logs/mine/checkpoint', '/logs/mine/tile/0/000.p/1', '/healthz']) {
      const answer = await open.send('GET', path, { headers });
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, '*']);
    }
  });
});
