import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestService, testService } from '../support/service.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let service: TestService;

beforeAll(async () => {
  service = await testService();
  await service.send('PUT', '/v1/logs/read');
  const body = Array.from({ length: 300 }, (_, i) => `line ${i}`).join('\n');
  await service.send('POST', '/v1/logs/read/entries?split=lines', { body });
});
afterAll(() => service[Symbol.asyncDispose]());

describe('reading entries back', () => {
  it('tells of one what its leaf hash is made of', async () => {
    const { json, at } = await service.send('GET', '/v1/logs/read/entries/7');
    expect(json).toEqual({
      log: 'log.test/logs/read',
      index: 7,
      receivedAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
      digest: sha256('line 7'),
      nonce: expect.stringMatching(/^[0-9a-f]{32}$/),
      commitment: expect.stringMatching(/^[0-9a-f]{64}$/),
      leafHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      payloadSize: 6,
      erased: false,
    });
    const blind = Buffer.concat([Buffer.from(String(at('digest')), 'hex'), Buffer.from(String(at('nonce')), 'hex')]);
    expect(at('commitment')).toBe(createHash('sha256').update(blind).digest('hex'));
  });

  it('goes page by page through all of them', async () => {
    const digests: unknown[] = [];
    const sizes: unknown[] = [];
    for (let from: unknown = 0; from !== undefined; ) {
      const page = await service.send('GET', `/v1/logs/read/entries?from=${from}&limit=70`);
      const entries = page.at('entries');
      if (!Array.isArray(entries)) throw new Error('no list');
      sizes.push(entries.length);
      digests.push(...entries.map((entry: { digest: unknown }) => entry.digest));
      from = page.at('next');
    }
    expect(sizes).toEqual([70, 70, 70, 70, 20]);
    expect(digests).toEqual(Array.from({ length: 300 }, (_, i) => sha256(`line ${i}`)));
  });

  it('has a hundred on a page unless told, and no next page at the end', async () => {
    const first = await service.send('GET', '/v1/logs/read/entries');
    expect([first.at('entries', 99, 'index'), first.at('entries', 100), first.at('next')]).toEqual([
      99,
      undefined,
      100,
    ]);
    const last = await service.send('GET', '/v1/logs/read/entries?from=290&limit=10');
    expect([last.at('entries', 9, 'index'), last.at('next')]).toEqual([299, undefined]);
    for (const from of [300, 2 ** 53 - 1]) {
      expect((await service.send('GET', `/v1/logs/read/entries?from=${from}`)).json).toEqual({
        size: 300,
        entries: [],
      });
    }
  });

  it.each(['300', '9007199254740991'])('finds no entry %s yet', async (index) => {
    for (const rest of ['', '/payload', '/receipt', '/receipt.path']) {
      const answer = await service.send('GET', `/v1/logs/read/entries/${index}${rest}`);
      expect([answer.status, answer.code]).toEqual([404, 'entry-not-found']);
    }
  });

  it.each(['-1', '1.0', '01', '+1', '9007199254740992', '99999999999999999999', '1e3', '0x1', 'NaN', '%31%00', '١'])(
    'takes %s for no index',
    async (index) => {
      for (const rest of ['', '/payload', '/receipt', '/receipt.path']) {
        const answer = await service.send('GET', `/v1/logs/read/entries/${index}${rest}`);
        expect([answer.status, answer.code]).toEqual([400, 'path-invalid']);
      }
    },
  );

  it.each([
    'from=-1',
    'from=9007199254740992',
    'from=a',
    'limit=0',
    'limit=1001',
    'to=3',
    'from=1&from=2',
    '__proto__=1',
    'from[a]=1',
  ])('is refused with ?%s', async (query) => {
    const answer = await service.send('GET', `/v1/logs/read/entries?${query}`);
    expect([answer.status, answer.code]).toEqual([400, 'query-invalid']);
  });
});

describe('finding a digest', () => {
  it('tells every place it was logged at', async () => {
    await service.send('PUT', '/v1/logs/other');
    await service.send('POST', '/v1/logs/other/entries?split=lines', { body: 'twice\nline 5\ntwice' });
    const twice = await service.send('GET', `/v1/entries?digest=${sha256('twice')}`);
    expect(twice.at('entries')).toHaveLength(2);
    const { json } = await service.send('GET', `/v1/entries?digest=${sha256('line 5')}`);
    expect(json).toEqual({
      entries: expect.arrayContaining([
        { log: 'log.test/logs/read', index: 5, receivedAt: expect.any(String) },
        { log: 'log.test/logs/other', index: 1, receivedAt: expect.any(String) },
      ]),
    });
    expect((await service.send('GET', `/v1/entries?digest=${'0'.repeat(64)}`)).json).toEqual({ entries: [] });
  });

  it.each([
    ['', 'query-invalid'],
    ['?digest=', 'digest-invalid'],
    ['?digest=00', 'digest-invalid'],
    [`?digest=${'A'.repeat(64)}`, 'digest-invalid'],
    [`?digest=${'0'.repeat(64)}&digest=${'1'.repeat(64)}`, 'query-invalid'],
    [`?hash=${'0'.repeat(64)}`, 'query-invalid'],
  ])('is refused with %j', async (query, code) => {
    const answer = await service.send('GET', `/v1/entries${query}`);
    expect([answer.status, answer.code]).toEqual([400, code]);
  });
});

it('keeps what it reads back out of caches', async () => {
  for (const path of [
    '/v1/logs',
    '/v1/logs/read/entries/0',
    '/v1/logs/read/entries/0/payload',
    '/v1/logs/read/entries/999',
  ]) {
    expect((await service.send('GET', path)).headers.get('cache-control')).toBe('no-store');
  }
});
