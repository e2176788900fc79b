import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseReceipt } from '../../src/core/receipt.ts';
import { verifyReceipt } from '../../src/verify/receipt.ts';
import { requestText } from '../support/raw-http.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

const COUNT = 600;
let service: TestService;
let ahead = 0;

/** Entry i: who did what, with something that tells it from all others. */
const line = (i: number): string =>
  JSON.stringify({
    verb: ['get', 'list', 'delete'][i % 3],
    user: { username: i % 100 === 7 ? 'eve' : 'bob', groups: ['staff', `team-${i % 5}`], admin: i % 50 === 0 },
    code: i % 4 === 0 ? 403 : 200,
    'a/b': { '~': null },
    note: `entry number ${i} grüßt`,
  });

beforeAll(async () => {
  service = await testService({ ahead: () => ahead });
  await service.send('PUT', '/v1/logs/demo');
  const lines = Array.from({ length: COUNT }, (_, i) => line(i));
  // A third each a second apart, by the service's clock.
  for (const part of [0, 1, 2]) {
    const body = lines.slice(part * 200, (part + 1) * 200).join('\n');
    expect((await service.send('POST', '/v1/logs/demo/entries?split=lines', { body })).status).toBe(201);
    ahead += 1_000;
  }
  await service.closeRound();
  await service.send('PUT', '/v1/logs/mixed');
  await service.send('POST', '/v1/logs/mixed/entries', { body: 'not JSON' });
  await service.send('POST', '/v1/logs/mixed/entries', { body: Uint8Array.from([0xff, 0x00]) });
  await service.send('POST', '/v1/logs/mixed/digests', { body: { digests: ['ab'.repeat(32)] } });
  await service.send('POST', '/v1/logs/mixed/entries', { body: '{"verb":"get"}' });
  await service.send('POST', '/v1/logs/mixed/entries', { body: 'to be erased' });
  await service.send('DELETE', '/v1/logs/mixed/entries/4/payload');
});
afterAll(() => service[Symbol.asyncDispose]());

const get = (query: string, log = 'demo'): Promise<Answer> => service.send('GET', `/v1/logs/${log}/entries${query}`);

function entriesOf(answer: Answer): { index: number; receivedAt: string; payload?: unknown }[] {
  expect(answer.status).toBe(200);
  const { entries }: { entries: { index: number; receivedAt: string; payload?: unknown }[] } = JSON.parse(answer.text);
  return entries;
}
const indices = (answer: Answer): number[] => entriesOf(answer).map(({ index }) => index);
const expected = (fits: (i: number) => boolean): number[] => Array.from({ length: COUNT }, (_, i) => i).filter(fits);

describe('searching records of OpenTelemetry', () => {
  beforeAll(async () => {
    await service.send('PUT', '/v1/logs/otlp');
    const record = (user: string, method: string): string =>
      `{"body":{"stringValue":"by ${user}"},"attributes":[{"key":"user","value":{"stringValue":"${user}"}},` +
      `{"key":"http","value":{"kvlistValue":{"values":[{"key":"method","value":{"stringValue":"${method}"}}]}}},` +
      '{"key":"length","value":{"intValue":"7"}},{"key":"roles","value":{"arrayValue":{"values":[{"stringValue":"a"}]}}}]}';
    const records = [record('eve', 'GET'), record('bob', 'PUT')].join(',');
    const resource = '{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}';
    const body = `{"resourceLogs":[{"resource":${resource},"scopeLogs":[{"logRecords":[${records}]}]}]}`;
    const headers = { 'content-type': 'application/json' };
    expect((await service.send('POST', '/v1/logs/otlp/ingest/otlp', { body, headers })).status).toBe(200);
  });

  it.each([
    ['field=/logRecord/attributes/user=eve', [0]],
    ['field=/logRecord/attributes/http/method=PUT', [1]],
    ['field=/logRecord/attributes/length=7', [0, 1]],
    ['field=/logRecord/attributes/roles=a', [0, 1]],
    ['field=/logRecord/attributes/roles/0=a', [0, 1]],
    ['field=/logRecord/attributes/0/key=user', [0, 1]],
    ['field=/logRecord/body=by%20bob', [1]],
    ['field=/logRecord/body/stringValue=by%20bob', [1]],
    ['field=/resource/attributes/service.name=shop', [0, 1]],
    ['field=/logRecord/attributes/nobody=eve', []],
  ])('finds %s', async (query, found) => {
    expect(indices(await get(`?${query}`, 'otlp'))).toEqual(found);
  });
});

describe('searching values that JSON can spell in several ways', () => {
  beforeAll(async () => {
    await service.send('PUT', '/v1/logs/spelled');
    const lines = [
      '{"v":"\\u0065ve"}',
      '{"v":"eve"}',
      '{"v":1e3}',
      '{"v":"1000"}',
      '{"v":"a\\"b"}',
      '{"v":"grün"}',
      '{"w":"eve"}',
    ];
    await service.send('POST', '/v1/logs/spelled/entries?split=lines', { body: lines.join('\n') });
  });

  it.each([
    ['eve', [0, 1]],
    ['1000', [2, 3]],
    ['a"b', [4]],
    ['grün', [5]],
    ['adam', []],
  ])('finds %s', async (value, found) => {
    expect(indices(await get(`?field=/v=${encodeURIComponent(value)}`, 'spelled'))).toEqual(found);
  });
});

describe('searching', () => {
  it.each<[string, (i: number) => boolean]>([
    ['text=number%2041%20', (i) => i === 41],
    ['text=gr%C3%BC%C3%9Ft', () => true],
    ['text=GR%C3%9C', () => false],
    ['field=/verb=delete', (i) => i % 3 === 2],
    ['field=/user/username=eve', (i) => i % 100 === 7],
    ['field=/code=403', (i) => i % 4 === 0],
    ['field=/user/admin=true', (i) => i % 50 === 0],
    ['field=/user/groups=team-3', (i) => i % 5 === 3],
    ['field=/user/groups/1=team-3', (i) => i % 5 === 3],
    ['field=/a~1b/~0=null', () => true],
    ['field=/code=403&field=/verb=get', (i) => i % 12 === 0],
    ['field=/verb=get&text=number%2012%20', (i) => i === 12],
    ['field=/user/username=', () => false],
    ['field=/constructor/name=Object', () => false],
    ['field=/verb/length=3', () => false],
  ])('finds what has %s, and nothing else', async (query, fits) => {
    expect(indices(await get(`?limit=1000&${query}`))).toEqual(expected(fits));
  });

  it('finds by time, to the millisecond', async () => {
    const all = entriesOf(await get('?limit=1000'));
    const times = [...new Set(all.map(({ receivedAt }) => receivedAt))];
    const middle = times[Math.floor(times.length / 2)] ?? '';
    const from = all.filter(({ receivedAt }) => receivedAt >= middle).map(({ index }) => index);
    const before = all.filter(({ receivedAt }) => receivedAt < middle).map(({ index }) => index);
    expect(indices(await get(`?limit=1000&since=${middle}`))).toEqual(from);
    expect(indices(await get(`?limit=1000&until=${middle}`))).toEqual(before);
    expect(indices(await get(`?limit=1000&since=${middle}&field=/verb=get`))).toEqual(from.filter((i) => i % 3 === 0));
    const offset = encodeURIComponent(middle.replace('Z', '+00:00'));
    expect(indices(await get(`?limit=1000&since=${offset}`))).toEqual(from);
    expect(indices(await get('?since=2100-01-01T00:00:00Z'))).toEqual([]);
    expect(indices(await get('?until=2000-01-01T00:00:00Z'))).toEqual([]);
  });

  it('goes on from page to page', async () => {
    const found: number[] = [];
    let pages = 0;
    for (let next: unknown = 0; next !== undefined; pages++) {
      const page = await get(`?field=/verb=delete&limit=30&from=${next}`);
      found.push(...indices(page));
      next = page.at('next');
    }
    expect(found).toEqual(expected((i) => i % 3 === 2));
    expect(pages).toBe(7);
  });

  it('tells payloads as text, as base64 or as absent', async () => {
    expect(entriesOf(await get('?payload=true', 'mixed')).map(({ payload }) => payload)).toEqual([
      { text: 'not JSON' },
      { base64: '/wA=' },
      null,
      { text: '{"verb":"get"}' },
      null,
    ]);
    expect(entriesOf(await get('', 'mixed')).every(({ payload }) => payload === undefined)).toBe(true);
    expect(indices(await get('?field=/verb=get', 'mixed'))).toEqual([3]);
    expect(indices(await get('?text=erased', 'mixed'))).toEqual([]);
  });

  it.each([
    'since=yesterday',
    'since=2026-02-30T00:00:00Z',
    'text=',
    'field=verb=get',
    'field=/verb',
    `field=${'/a=1&field='.repeat(4)}/a=1`,
    'payload=yes',
    'until=2026-01-01',
    'text=a&text=b',
  ])('refuses %s', async (query) => {
    const answer = await get(`?${query}`);
    expect([answer.status, answer.code]).toEqual([400, 'query-invalid']);
  });

  it('finds nothing across the borders of entries', async () => {
    await service.send('PUT', '/v1/logs/adjoining');
    const lines = ['a nee', 'dle and a needle', 'dle'];
    await service.send('POST', '/v1/logs/adjoining/entries?split=lines', { body: lines.join('\n') });
    expect(indices(await get('?text=needledle', 'adjoining'))).toEqual([]);
    expect(indices(await get('?text=needle', 'adjoining'))).toEqual([1]);
  });

  it('does a bounded work for a page, whatever there is to find', async () => {
    await service.send('PUT', '/v1/logs/large');
    const body = Array.from({ length: 10_000 }, (_, i) => `line ${i}`).join('\n');
    await service.send('POST', '/v1/logs/large/entries?split=lines', { body });
    await service.send('POST', '/v1/logs/large/entries', { body: 'the needle' });
    const first = await get('?text=needle', 'large');
    expect([indices(first), first.at('next')]).toEqual([[], 10_000]);
    const second = await get('?text=needle&from=10000', 'large');
    expect([indices(second), second.at('next')]).toEqual([[10_000], undefined]);
    const megabyte = 'x'.repeat(1 << 20);
    for (let i = 0; i < 12; i++) await service.send('POST', '/v1/logs/large/entries', { body: megabyte });
    const third = await get('?text=needle&from=10001', 'large');
    expect([indices(third), third.at('next')]).toEqual([[], 10_009]);
  });
});

describe('an export', () => {
  it('is a line for each entry, with a receipt that proves it', async () => {
    const { text, headers, status } = await service.send('GET', '/v1/logs/demo/export?from=100&to=400');
    expect([status, headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
    const lines = text.split('\n');
    expect(lines.pop()).toBe('');
    expect(lines).toHaveLength(300);
    const key = String((await service.send('GET', '/v1/logs/demo')).at('verifierKey'));
    for (const [i, json] of lines.entries()) {
      const entry: { index: number; digest: string; payload: { text: string }; receipt: unknown } = JSON.parse(json);
      expect([entry.index, entry.payload.text]).toEqual([100 + i, line(100 + i)]);
      if (i % 50 !== 0) continue;
      const receipt = parseReceipt(entry.receipt);
      const { claims } = await verifyReceipt({ receipt, payload: Buffer.from(line(100 + i)) }, { key });
      expect(claims.filter(({ status }) => status === 'verified').map(({ claim }) => claim)).toEqual(
        expect.arrayContaining(['content', 'position', 'checkpoint', 'round']),
      );
    }
  });

  it('has what fits alone, and no receipt of what was erased', async () => {
    const found = await service.send('GET', '/v1/logs/demo/export?receipts=false&field=/user/username=eve&from=200');
    const lines = found.text
      .split('\n')
      .slice(0, -1)
      .map((json): { index: number } => JSON.parse(json));
    expect(lines.map(({ index }) => index)).toEqual([207, 307, 407, 507]);
    expect(lines.every((entry) => !('receipt' in entry))).toBe(true);
    const mixed = await service.send('GET', '/v1/logs/mixed/export');
    const receipts = mixed.text
      .split('\n')
      .slice(0, -1)
      .map((json): { receipt: object | null } => JSON.parse(json));
    expect(receipts.map(({ receipt }) => receipt !== null)).toEqual([true, true, true, true, false]);
  });

  it('may be empty', async () => {
    for (const query of ['?from=600', '?from=5&to=5', '?to=0', '?until=2000-01-01T00:00:00Z', '?text=absent']) {
      const { status, text } = await service.send('GET', `/v1/logs/demo/export${query}`);
      expect([status, text]).toEqual([200, '']);
    }
    expect((await service.send('HEAD', '/v1/logs/demo/export')).status).toBe(200);
    expect((await service.send('GET', '/v1/logs/demo/export?to=-1')).code).toBe('query-invalid');
    expect((await service.send('GET', '/v1/logs/nowhere/export')).code).toBe('log-not-found');
  });

  it('asks for a key that may read the log', async () => {
    await using closed = await testService({ open: false });
    const admin = (await closed.key(['admin'])).token;
    await closed.send('PUT', '/v1/logs/demo', { token: admin });
    const append = (await closed.key(['append'])).token;
    for (const path of ['/v1/logs/demo/export', '/v1/logs/demo/entries?text=a']) {
      expect((await closed.send('GET', path)).status).toBe(401);
      expect((await closed.send('GET', path, { token: append })).status).toBe(403);
    }
  });

  it('waits for whoever reads it, in little memory, and ends with whoever leaves', async () => {
    await service.send('PUT', '/v1/logs/wide');
    const body = Array.from({ length: 16 }, (_, i) => `${i}`.padEnd(500_000, 'y')).join('\n');
    for (let i = 0; i < 8; i++) await service.send('POST', '/v1/logs/wide/entries?split=lines', { body });
    const { hostname, port } = new URL(service.url);
    const readers = Array.from({ length: 8 }, () => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      socket.write(requestText('GET', '/v1/logs/wide/export?receipts=false'));
      socket.pause();
      return socket;
    });
    // 64 MiB eight times over, and nobody reads: what is in the way is what the kernel holds and a portion each.
    const before = process.memoryUsage();
    await sleep(1_500);
    const grown = process.memoryUsage().rss - before.rss;
    expect(grown).toBeLessThan(300 << 20);
    const refused = await service.send('GET', '/v1/logs/wide/export');
    expect([refused.status, refused.code]).toEqual([503, 'overloaded']);
    for (const socket of readers) socket.destroy();
    for (;;) {
      const again = await service.send('GET', '/v1/logs/wide/export?to=1&receipts=false');
      if (again.status === 200) break;
      await sleep(50);
    }
  });
});
