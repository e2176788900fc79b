import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseVerifierKey } from '../../src/core/note.ts';
import { setMlDsa } from '../../src/log/rotation.ts';
import { type TestService, testService } from '../support/service.ts';

let service: TestService;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

const LIST = '/.well-known/witness-logs';
const EMPTY_ROOT = createHash('sha256').digest('hex');

describe('making a log', () => {
  it('tells what it will be known by', async () => {
    const made = await service.send('PUT', '/v1/logs/my.first_log-1');
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe('/v1/logs/my.first_log-1');
    expect(made.json).toEqual({
      name: 'my.first_log-1',
      origin: 'log.test/logs/my.first_log-1',
      logId: createHash('sha256').update('log.test/logs/my.first_log-1').digest('hex'),
      verifierKey: expect.any(String),
      verifierKeys: [made.at('verifierKey')],
      mlDsaKeys: [],
      coseKeys: [expect.stringMatching(/^log\.test\/logs\/my\.first_log-1\+[0-9a-f]{8}\+/)],
      blinded: true,
      listed: false,
      createdAt: expect.stringMatching(/Z$/),
      size: 0,
      root: EMPTY_ROOT,
    });
    expect(parseVerifierKey(String(made.at('verifierKey'))).name).toBe('log.test/logs/my.first_log-1');
  });

  it('changes nothing the second time, with entries in it or without', async () => {
    const made = await service.send('PUT', '/v1/logs/twice');
    const again = await service.send('PUT', '/v1/logs/twice');
    expect([again.status, again.json]).toEqual([200, made.json]);
    await service.send('POST', '/v1/logs/twice/entries', { body: 'x' });
    const grown = await service.send('PUT', '/v1/logs/twice');
    expect([grown.status, grown.at('size'), grown.at('verifierKey')]).toEqual([200, 1, made.at('verifierKey')]);
    const described = await service.send('GET', '/v1/logs/twice');
    expect(described.json).toEqual(grown.json);
  });

  it('takes blinded by query or by body, and refuses what it does not know', async () => {
    const put = (path: string, body: string) =>
      service.send('PUT', `/v1/logs/${path}`, { body, headers: { 'content-type': 'application/json' } });
    const made = await put('by-body', '{"blinded":false}');
    expect([made.status, made.at('blinded')]).toEqual([201, false]);
    expect((await put('by-body', '{}')).status).toBe(200);
    for (const [path, body, code] of [
      ['other', '{"blinded":"no"}', 'log-invalid'],
      ['other', '{"blind":true}', 'log-invalid'],
      ['other?blinded=true', '{"blinded":false}', 'log-invalid'],
      ['other', 'blinded=false', 'json-invalid'],
    ] as const) {
      const answer = await put(path, body);
      expect([answer.status, answer.code]).toEqual([400, code]);
    }
    expect((await service.send('GET', '/v1/logs/other')).status).toBe(404);
  });

  it('once unblinded stays so, for whoever does not care too', async () => {
    const made = await service.send('PUT', '/v1/logs/plain?blinded=false');
    expect([made.status, made.at('blinded')]).toEqual([201, false]);
    const again = await service.send('PUT', '/v1/logs/plain');
    expect([again.status, again.at('blinded')]).toEqual([200, false]);
    const other = await service.send('PUT', '/v1/logs/plain?blinded=true');
    expect([other.status, other.code]).toEqual([409, 'log-exists']);
    await service.send('POST', '/v1/logs/plain/entries', { body: 'x' });
    expect((await service.send('GET', '/v1/logs/plain/entries/0')).at('nonce')).toBe('');
  });

  it('is listed when that is asked for alone, and _system tells of each change', async () => {
    await service.send('PUT', '/v1/logs/shown');
    const list = (body: object | string) => service.send('PUT', '/v1/logs/shown/listed', { body });
    const size = Number((await service.send('GET', '/v1/logs/_system')).at('size'));
    expect((await list({ listed: true })).at('listed')).toBe(true);
    expect((await list({ listed: true })).at('listed')).toBe(true);
    const all = await service.send('GET', '/v1/logs?after=s&limit=1');
    expect([all.at('logs', 0, 'name'), all.at('logs', 0, 'listed')]).toEqual(['shown', true]);
    const shown = async (): Promise<string> => (await service.send('GET', LIST)).text;
    expect(await shown()).toBe(
      `logs/v0\n\nvkey ${String(all.at('logs', 0, 'verifierKey'))}\nqpd 86400\ncontact log.test\n`,
    );
    expect((await list({ listed: false })).at('listed')).toBe(false);
    expect(await shown()).toBe('logs/v0\n');
    const acts = await Promise.all(
      [0, 1].map((n) => service.send('GET', `/v1/logs/_system/entries/${size + n}/payload`)),
    );
    expect(acts.map(({ text }) => JSON.parse(text))).toMatchObject([
      { act: 'log-listed', log: 'log.test/logs/shown', listed: true },
      { act: 'log-listed', log: 'log.test/logs/shown', listed: false },
    ]);
    expect((await service.send('GET', '/v1/logs/_system')).at('size')).toBe(size + 2);
    for (const [body, code] of [
      [{ listed: 'yes' }, 'log-invalid'],
      [{}, 'log-invalid'],
      ['', 'json-invalid'],
    ] as const) {
      expect((await list(body)).code).toBe(code);
    }
    expect((await service.send('PUT', '/v1/logs/absent/listed', { body: { listed: true } })).status).toBe(404);
  });

  it('is listed with its key of ML-DSA where it has one and that is asked for', async () => {
    const { database, registry, publisher, appender, guard } = service.foundation;
    const parts = { database, registry, publisher, sequencing: appender.sequencing, guard };
    const { log } = await registry.create('quantum', { blinded: true });
    await setMlDsa(parts, [log], true);
    for (const name of ['quantum', 'plain']) {
      await service.send('PUT', `/v1/logs/${name}`);
      await service.send('PUT', `/v1/logs/${name}/listed`, { body: { listed: true } });
    }
    const keysOf = async (address: string): Promise<string[]> =>
      [...(await service.send('GET', address)).text.matchAll(/^vkey (.*)$/gm)].map(([, key = '']) => key);
    const [plain, quantum] = [
      await service.send('GET', '/v1/logs/plain'),
      await service.send('GET', '/v1/logs/quantum'),
    ];
    expect(await keysOf(LIST)).toEqual([plain.at('verifierKey'), quantum.at('verifierKey')]);
    expect(await keysOf(`${LIST}?keys=ml-dsa-44`)).toEqual([plain.at('verifierKey'), quantum.at('mlDsaKeys', 0)]);
    expect((await service.send('GET', `${LIST}?keys=rsa`)).code).toBe('query-invalid');
  });

  it('happens once however many ask at once, and is told in _system once', async () => {
    const size = async (): Promise<number> => Number((await service.send('GET', '/v1/logs/_system')).at('size'));
    const before = await size();
    const answers = await Promise.all(Array.from({ length: 12 }, () => service.send('PUT', '/v1/logs/race')));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(11).fill(200), 201]);
    expect(await size()).toBe(before + 1);
    const act = await service.send('GET', `/v1/logs/_system/entries/${before}/payload`);
    expect(JSON.parse(act.text)).toMatchObject({ act: 'log-created', log: 'log.test/logs/race', blinded: true });
  });

  it.each([
    ['Capital', 400, 'log-name-invalid'],
    ['-dash', 400, 'log-name-invalid'],
    ['.', 404, 'not-found'],
    ['..%2fetc', 400, 'log-name-invalid'],
    ['a%20b', 400, 'log-name-invalid'],
    ['%ff', 400, 'request-invalid'],
    ['%00', 400, 'log-name-invalid'],
    ['%E2%98%83', 400, 'log-name-invalid'],
    ['x'.repeat(64), 400, 'log-name-invalid'],
    ['_mine', 400, 'log-name-invalid'],
    ['_system', 403, 'log-reserved'],
    ['ok?blinded=no', 400, 'query-invalid'],
    ['ok?blinded=true&blinded=true', 400, 'query-invalid'],
    ['ok?colour=red', 400, 'query-invalid'],
  ])('is refused for %s', async (path, status, code) => {
    const { body: before } = { body: (await service.send('GET', '/v1/logs?limit=1000')).text };
    const answer = await service.send('PUT', `/v1/logs/${path}`);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect((await service.send('GET', '/v1/logs?limit=1000')).text).toBe(before);
  });

  it('takes a name of 63 characters', async () => {
    expect((await service.send('PUT', `/v1/logs/${'x'.repeat(63)}`)).status).toBe(201);
  });
});

describe('listing logs', () => {
  it('goes page by page through all of them, in one order', async () => {
    for (const name of ['page.a', 'page-b', 'page_c']) await service.send('PUT', `/v1/logs/${name}`);
    const names: unknown[] = [];
    let after: unknown = '';
    for (let pages = 0; after !== undefined; pages++) {
      expect(pages).toBeLessThan(50);
      const page = await service.send('GET', `/v1/logs?limit=2&after=${after}`);
      const logs = page.at('logs');
      if (!Array.isArray(logs)) throw new Error('no list');
      expect(logs.length).toBeGreaterThan(0);
      names.push(...logs.map((log: { name: unknown }) => log.name));
      after = page.at('next');
    }
    expect(names).toEqual([...new Set(names)].sort());
    expect(names[0]).toBe('_system');
    expect(names).toEqual(expect.arrayContaining(['page-b', 'page.a', 'page_c']));
  });

  it.each([
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=1.5',
    'limit=',
    'limit=1e2',
    'after=%00',
    'after=A',
    'after=a&after=b',
    'from=1',
  ])('is refused with ?%s', async (query) => {
    const answer = await service.send('GET', `/v1/logs?${query}`);
    expect([answer.status, answer.code]).toEqual([400, 'query-invalid']);
  });
});

it('describes no log that is not there', async () => {
  const answer = await service.send('GET', '/v1/logs/nobody');
  expect([answer.status, answer.code]).toEqual([404, 'log-not-found']);
});
