import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SESSION_MS } from '../../src/access/sessions.ts';
import type { Answer, SendOptions } from '../support/service.ts';
import { type TestService, testService } from '../support/service.ts';

const OWN = { 'sec-fetch-site': 'same-origin' };

describe('signing in to the pages', () => {
  let service: TestService;
  let ahead = 0;

  beforeAll(async () => {
    service = await testService({ open: false, ahead: () => ahead });
    const { token } = await service.key(['admin']);
    await service.send('PUT', '/v1/logs/mine', { token });
    await service.send('PUT', '/v1/logs/theirs', { token });
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const signIn = (key: string, headers: Record<string, string> = OWN): Promise<Answer> =>
    service.send('POST', '/v1/session', { headers, body: { key } });
  const cookieOf = ({ headers }: Answer): string => (headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const as = (cookie: string, headers: Record<string, string> = OWN): SendOptions => ({
    headers: { cookie, ...headers },
  });

  it('exchanges a key for a cookie that no script can read and no other site can use', async () => {
    const { token, id } = await service.key(['read']);
    const answer = await signIn(token);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({
      open: false,
      key: { id, scopes: ['read'], logs: null },
      origin: service.origin,
    });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^antequem=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    const cookie = cookieOf(answer);
    expect(answer.text).not.toContain(cookie.split('=')[1]);
    expect((await service.send('GET', '/v1/logs', as(cookie))).status).toBe(200);
    expect((await service.send('PUT', '/v1/logs/new', as(cookie))).code).toBe('forbidden');
    expect((await service.send('GET', '/v1/session', as(cookie))).at('key', 'id')).toBe(id);
  });

  it('over TLS the cookie is only for TLS', async () => {
    const { token } = await service.key(['read']);
    const answer = await signIn(token, { ...OWN, origin: 'https://log.example.org' });
    expect(answer.headers.get('set-cookie')).toMatch(/^__Host-antequem=.*; Path=\/; .*; Secure$/);
    expect((await service.send('GET', '/v1/logs', as(cookieOf(answer)))).status).toBe(200);
  });

  it('keeps a key to its own logs', async () => {
    const { token } = await service.key(['read'], ['mine']);
    const cookie = cookieOf(await signIn(token));
    expect((await service.send('GET', '/v1/logs/mine/entries', as(cookie))).status).toBe(200);
    expect((await service.send('GET', '/v1/logs/theirs/entries', as(cookie))).status).toBe(403);
    expect((await service.send('GET', '/v1/rounds', as(cookie))).status).toBe(403);
  });

  it.each([
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }, 'GET', 401],
    ['a page of a sibling', { 'sec-fetch-site': 'same-site' }, 'PUT', 401],
    ['a link typed in', { 'sec-fetch-site': 'none' }, 'GET', 200],
    ['a form typed in', { 'sec-fetch-site': 'none' }, 'PUT', 401],
    ['an older browser elsewhere', { origin: 'https://elsewhere.test' }, 'PUT', 401],
    ['a sandboxed page', { origin: 'null' }, 'PUT', 401],
    ['no word of where it comes from', {}, 'PUT', 401],
    ['no word of where it comes from', {}, 'GET', 200],
  ] as const)('%s: %j %s gets %i', async (_, headers, method, status) => {
    const { token } = await service.key(['admin']);
    const cookie = cookieOf(await signIn(token));
    expect((await service.send(method, '/v1/logs/mine', as(cookie, headers))).status).toBe(status);
  });

  it('does not let another site sign a user in or out', async () => {
    const { token } = await service.key(['read']);
    const elsewhere = { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.test' };
    const refused = await signIn(token, elsewhere);
    expect([refused.status, refused.code, refused.headers.get('set-cookie')]).toEqual([403, 'site-forbidden', null]);
    const cookie = cookieOf(await signIn(token));
    expect((await service.send('DELETE', '/v1/session', as(cookie, elsewhere))).status).toBe(403);
    expect((await service.send('GET', '/v1/logs', as(cookie))).status).toBe(200);
  });

  it('ends by signing out, by revocation, by time', async () => {
    const { token, id } = await service.key(['read']);
    const [first, second, third] = (await Promise.all([signIn(token), signIn(token), signIn(token)])).map(cookieOf);
    const reads = async (cookie = ''): Promise<number> => (await service.send('GET', '/v1/logs', as(cookie))).status;
    const out = await service.send('DELETE', '/v1/session', as(first ?? ''));
    expect([out.status, out.headers.get('set-cookie')]).toEqual([
      204,
      expect.stringContaining('antequem=; Path=/; Max-Age=0'),
    ]);
    expect([await reads(first), await reads(second), await reads(third)]).toEqual([401, 200, 200]);

    ahead = SESSION_MS - 60_000;
    expect(await reads(second)).toBe(200);
    ahead = SESSION_MS + 1_000;
    expect(await reads(second)).toBe(401);
    ahead = 0;

    await service.foundation.keys.revoke(id);
    // A key that was just seen is believed for five seconds.
    ahead = 6_000;
    expect(await reads(third)).toBe(401);
    ahead = 0;
  });

  it('is refused for invalid credentials', async () => {
    const { token } = await service.key(['read']);
    expect((await signIn(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`)).code).toBe('unauthorized');
    expect((await signIn('')).code).toBe('unauthorized');
    expect((await service.send('POST', '/v1/session', { headers: OWN, body: { token } })).code).toBe('session-invalid');
    for (const cookie of ['antequem=', `antequem=${'A'.repeat(43)}`, 'antequem=x; antequem=y', '__Host-antequem']) {
      expect((await service.send('GET', '/v1/logs', as(cookie))).status).toBe(401);
    }
    expect((await service.send('GET', '/v1/session')).json).toEqual({ open: false, key: null });
  });

  it('cannot be forged by writing into the database', async () => {
    const { token, id } = await service.key(['admin']);
    const cookie = cookieOf(await signIn(token));
    const { database } = service.foundation;
    // Whoever gives an old session a longer life, or another key, has the proof over both wrong.
    await database.query('UPDATE sessions SET expires_at = expires_at + 1 WHERE key = $1', [id]);
    expect((await service.send('GET', '/v1/logs', as(cookie))).status).toBe(401);
    await database.query('UPDATE sessions SET expires_at = expires_at - 1 WHERE key = $1', [id]);
    expect((await service.send('GET', '/v1/logs', as(cookie))).status).toBe(200);
    const other = await service.key(['read']);
    await database.query('UPDATE sessions SET key = $1 WHERE key = $2', [other.id, id]);
    expect((await service.send('GET', '/v1/logs', as(cookie))).status).toBe(401);
  });

  it('leaves no secret in the database or the log', async () => {
    const { token } = await service.key(['read']);
    const secret = cookieOf(await signIn(token)).split('=')[1] ?? '';
    const { rows } = await service.foundation.database.query<{ text: string }>(
      'SELECT s::text AS text FROM sessions s',
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(secret).toString('hex'));
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(service.logged()).not.toContain(secret);
    expect(service.logged()).not.toContain(token);
  });
});
