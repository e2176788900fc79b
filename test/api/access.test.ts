import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scope } from '../../src/access/keys.ts';
import { CALLS, type Call, DIGEST, NAMED_CALLS, sendCall } from '../support/calls.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type TestService, testService } from '../support/service.ts';

/** Whether a key permits a call, said once more in the terms of design section 4. */
function permitted(call: Call, scopes: readonly Scope[], logs: readonly string[] | null): boolean {
  if (call.needs === 'nothing' || call.needs === 'any-key') return true;
  if (call.needs !== 'any-key-of-it' && !scopes.includes('admin') && !scopes.includes(call.needs)) return false;
  if (logs === null) return true;
  // What spans logs shows a key its own ones.
  const spans = call.path === '/v1/logs' || call.path.startsWith('/v1/entries');
  return call.everyLog !== true && (spans || logs.includes('mine'));
}

describe('with API keys', () => {
  let service: TestService;
  let ahead = 0;
  let admin: string;
  const tokens: string[] = [];

  const key = async (scopes: readonly Scope[], logs: readonly string[] | null = null): Promise<string> => {
    const { token } = await service.key(scopes, logs);
    tokens.push(token);
    return token;
  };

  beforeAll(async () => {
    service = await testService({ open: false, ahead: () => ahead });
    admin = await key(['admin']);
    const token = admin;
    for (const log of ['mine', 'theirs']) {
      expect((await service.send('PUT', `/v1/logs/${log}`, { token })).status).toBe(201);
      expect((await service.send('POST', `/v1/logs/${log}/entries`, { token, body: 'x' })).status).toBe(201);
    }
    await service.closeRound();
  });
  afterAll(() => service[Symbol.asyncDispose]());

  it.each(NAMED_CALLS)('%s wants a key or none', async (_, call) => {
    const without = await sendCall(service, call);
    if (call.needs === 'nothing') return expect(without.status).toBe(200);
    expect(without.status).toBe(401);
    expect(without.headers.get('www-authenticate')).toBe('Bearer');
    expect(without.headers.get('access-control-allow-origin')).toBeNull();
    if (call.method !== 'HEAD') expect(without.code).toBe('unauthorized');
  });

  const keys: readonly (readonly [string, readonly Scope[], readonly string[] | null])[] = [
    ['append', ['append'], null],
    ['read', ['read'], null],
    ['admin', ['admin'], null],
    ['append and read', ['append', 'read'], null],
    ['append on mine', ['append'], ['mine']],
    ['read on mine', ['read'], ['mine']],
    ['admin on mine', ['admin'], ['mine']],
    ['admin on theirs', ['admin'], ['theirs']],
    ['read on theirs and mine', ['read'], ['theirs', 'mine']],
    ['admin on no log at all', ['admin'], []],
  ];

  it.each(keys)('a key for %s opens what it is for and nothing else', async (_, scopes, logs) => {
    const token = await key(scopes, logs);
    for (const call of CALLS) {
      const answer = await sendCall(service, call, { token });
      const where = `${call.method} ${call.path}`;
      if (logs?.length === 0 && call.needs !== 'nothing' && call.needs !== 'any-key') {
        expect([where, answer.status]).toEqual([where, 403]);
      } else if (permitted(call, scopes, logs)) {
        expect([where, [200, 201].includes(answer.status)]).toEqual([where, true]);
      } else {
        expect([where, answer.status]).toEqual([where, 403]);
        if (call.method !== 'HEAD') expect(answer.code).toBe('forbidden');
      }
    }
  });

  it('a key for one log does not learn of the others', async () => {
    const token = await key(['read'], ['mine', 'not-yet']);
    const list = await service.send('GET', '/v1/logs?limit=1', { token });
    expect(list.text).not.toContain('theirs');
    expect([list.at('logs', 0, 'name'), list.at('logs', 1), list.at('next')]).toEqual(['mine', undefined, undefined]);
    expect((await service.send('GET', '/v1/logs?after=mine', { token })).json).toEqual({ logs: [] });
    const found = await service.send('GET', `/v1/entries?digest=${DIGEST}`, { token });
    expect(found.text).toContain('/logs/mine');
    expect(found.text).not.toContain('theirs');
    // Whether there is such a log it is not told either.
    for (const log of ['theirs', 'nowhere']) {
      expect((await service.send('GET', `/v1/logs/${log}`, { token })).status).toBe(403);
      expect((await service.send('POST', `/v1/logs/${log}/entries`, { token, body: 'x' })).status).toBe(403);
    }
  });

  it('pages through the logs of a key', async () => {
    const token = await key(['read'], ['theirs', 'mine', 'mine']);
    const first = await service.send('GET', '/v1/logs?limit=1', { token });
    expect([first.at('logs', 0, 'name'), first.at('next')]).toEqual(['mine', 'mine']);
    const second = await service.send('GET', '/v1/logs?limit=1&after=mine', { token });
    expect([second.at('logs', 0, 'name'), second.at('next')]).toEqual(['theirs', undefined]);
  });

  it('nobody appends to _system', async () => {
    const token = await key(['admin']);
    const answer = await service.send('POST', '/v1/logs/_system/entries', { token, body: 'x' });
    expect([answer.status, answer.code]).toEqual([403, 'log-reserved']);
  });

  it('a revoked key is none, at the latest five seconds later', async () => {
    const unseen = await service.key(['read']);
    await service.foundation.keys.revoke(unseen.id);
    expect((await service.send('GET', '/v1/logs', { token: unseen.token })).status).toBe(401);
    const seen = await service.key(['read']);
    expect((await service.send('GET', '/v1/logs', { token: seen.token })).status).toBe(200);
    await service.foundation.keys.revoke(seen.id);
    ahead += 5_001;
    expect((await service.send('GET', '/v1/logs', { token: seen.token })).status).toBe(401);
  });

  it('Idempotency-Keys of different keys are different', async () => {
    const [one, two] = [await key(['append']), await key(['append'])];
    const headers = { 'idempotency-key': 'same' };
    const first = await service.send('POST', '/v1/logs/mine/entries', { token: one, body: 'a', headers });
    const other = await service.send('POST', '/v1/logs/mine/entries', { token: two, body: 'b', headers });
    expect([first.status, other.status]).toEqual([201, 201]);
    const again = await service.send('POST', '/v1/logs/mine/entries', { token: two, body: 'b', headers });
    expect(again.json).toEqual(other.json);
  });

  it('takes a Bearer token in its one form', async () => {
    const token = await key(['read']);
    const status = async (authorization: string): Promise<number> =>
      (await service.send('GET', '/v1/logs', { headers: { authorization } })).status;
    for (const good of [`Bearer ${token}`, `bearer ${token}`, `BEARER  ${token}`]) expect(await status(good)).toBe(200);
    const cut = token.slice(0, -1);
    const last = token.endsWith('A') ? 'B' : 'A';
    const bad = ['', 'Bearer', 'Bearer ', token, `Basic ${token}`, `Bearer ${token} x`, `Bearer ${token},`, `Bearer\t${token}`,
      `Bearer ${cut}`, `Bearer ${cut}${last}`, `Bearer ${token}A`, `Bearer ${token.toUpperCase()}`, `Bearer aq_0000000000000000_${'A'.repeat(43)}`,
      `Bearer ${'x'.repeat(8_000)}`, "Bearer ' OR 1=1 --"]; // biome-ignore format: a list
    for (const authorization of bad) expect([authorization, await status(authorization)]).toEqual([authorization, 401]);
    expect((await service.send('GET', `/v1/logs?access_token=${token}`)).status).toBe(401);
    const twice = requestText('GET', '/v1/logs', { Authorization: 'Bearer nothing' }).replace(
      '\r\n\r\n',
      `\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    expect((await sendRaw(service.url, twice)).status).toBe(401);
  });

  it('does not read the body of a caller it refuses', async () => {
    const head = { 'Content-Length': '8000000', Expect: '100-continue' };
    const { status } = await sendRaw(service.url, requestText('POST', '/v1/logs/mine/entries', head), 'end');
    expect([401, 100]).toContain(status);
    const before = (await service.send('GET', '/v1/logs/mine', { token: admin })).at('size');
    await service.send('POST', '/v1/logs/mine/entries', { body: new Uint8Array(8 << 20) });
    expect((await service.send('GET', '/v1/logs/mine', { token: admin })).at('size')).toBe(before);
  });

  it('never logs a token, nor any secret it was started with', async () => {
    await service.send('GET', '/v1/logs/mine', { token: 'aq_wrong_token' });
    await service.foundation.database.query('ALTER TABLE whole_rounds RENAME TO hidden');
    const failed = await service.send('GET', '/v1/rounds', { token: admin });
    await service.foundation.database.query('ALTER TABLE hidden RENAME TO whole_rounds');
    expect([failed.status, failed.code]).toEqual([500, 'internal']);
    expect(failed.text).not.toMatch(/select|rounds|relation|postgres|\.ts/i);
    const logged = service.logged();
    expect(logged).toContain('request failed');
    for (const token of tokens) {
      expect(logged).not.toContain(token);
      expect(logged).not.toContain(token.slice(20));
    }
    expect(logged).not.toContain('aq_wrong_token');
    const { rows } = await service.foundation.database.query<{ text: string }>(
      'SELECT api_keys::text AS text FROM api_keys',
    );
    for (const { text } of rows) for (const token of tokens) expect(text).not.toContain(token.slice(20));
  });
});
