import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

const MIB = 1 << 20;
const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

/** A log of its own. */
async function newLog(): Promise<string> {
  const name = `append-${names++}`;
  expect((await service.send('PUT', `/v1/logs/${name}`)).status).toBe(201);
  return name;
}

async function sizeOf(log: string): Promise<unknown> {
  return (await service.send('GET', `/v1/logs/${log}`)).at('size');
}

async function payload(log: string, index: number): Promise<Buffer> {
  const answer = await service.send('GET', `/v1/logs/${log}/entries/${index}/payload`);
  expect(answer.status).toBe(200);
  return answer.bytes;
}

/** Refused with a problem, and nothing was written. */
async function expectRefused(log: string, answer: Answer, status: number, code: string): Promise<void> {
  expect([answer.status, answer.code]).toEqual([status, code]);
  expect(await sizeOf(log)).toBe(0);
}

describe('one entry', () => {
  it('is the body, byte for byte, whatever its type', async () => {
    const log = await newLog();
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7) & 255);
    for (const type of ['text/plain', 'application/json', 'application/x-www-form-urlencoded', 'nonsense', '']) {
      const answer = await service.send('POST', `/v1/logs/${log}/entries`, {
        body: bytes,
        headers: { 'content-type': type },
      });
      expect(answer.status).toBe(201);
      expect(answer.at('digest')).toBe(sha256(bytes));
      expect(answer.headers.get('location')).toBe(`/v1/logs/${log}/entries/${answer.at('index')}`);
    }
    expect(await sizeOf(log)).toBe(5);
    expect(await payload(log, 3)).toEqual(Buffer.from(bytes));
  });

  it('may have a path that has to be decoded first', async () => {
    const log = await newLog();
    for (const path of [
      `/v1/logs/${log}/entries`,
      `/v1/logs/%61${log.slice(1)}/entries`,
      `/v1/logs/${log}/%65ntries`,
    ]) {
      const answer = await service.send('POST', path, { body: path });
      expect([path, answer.status]).toEqual([path, path.endsWith('%65ntries') ? 404 : 201]);
    }
    expect((await service.send('GET', `/v1/logs/${log}/digests`)).status).toBe(405);
    expect(await sizeOf(log)).toBe(2);
  });

  it('is told with what a receipt is asked by', async () => {
    const log = await newLog();
    await service.send('POST', `/v1/logs/${log}/entries`, { body: 'first' });
    const answer = await service.send('POST', `/v1/logs/${log}/entries`, { body: 'second\n' });
    expect(answer.json).toEqual({
      log: `log.test/logs/${log}`,
      index: 1,
      count: 1,
      digest: sha256('second\n'),
      leafHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      receivedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      receipt: `/v1/logs/${log}/entries/1/receipt`,
    });
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    const receipt = await service.send('GET', String(answer.at('receipt')));
    expect(receipt.at('entry', 'digest')).toBe(answer.at('digest'));
  });

  it('may be empty, and may hold newlines', async () => {
    const log = await newLog();
    expect((await service.send('POST', `/v1/logs/${log}/entries`)).at('digest')).toBe(sha256(''));
    await service.send('POST', `/v1/logs/${log}/entries`, { body: 'a\nb\n' });
    expect((await payload(log, 0)).length).toBe(0);
    expect((await payload(log, 1)).toString()).toBe('a\nb\n');
  });

  it('has 1 MiB at most', async () => {
    const log = await newLog();
    const path = `/v1/logs/${log}/entries`;
    await expectRefused(
      log,
      await service.send('POST', path, { body: new Uint8Array(MIB + 1) }),
      400,
      'entry-too-large',
    );
    expect((await service.send('POST', path, { body: new Uint8Array(MIB) })).status).toBe(201);
    expect((await payload(log, 0)).length).toBe(MIB);
  });

  it('comes back as a file that no browser renders', async () => {
    const log = await newLog();
    await service.send('POST', `/v1/logs/${log}/entries`, { body: '<script>alert(1)</script>' });
    const { headers } = await service.send('GET', `/v1/logs/${log}/entries/0/payload`);
    expect(headers.get('content-type')).toBe('application/octet-stream');
    expect(headers.get('content-disposition')).toBe('attachment');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });
});

describe('lines', () => {
  it('are kept though the memory of their body is given back: alone, ends of tiles, several requests at once', async () => {
    const log = await newLog();
    const sent: string[] = [];
    // The last of a request wait in memory for what completes their tile.
    for (const [request, count] of [1, 100, 300, 57, 1, 400, 3, 5, 300].entries()) {
      const lines = Array.from({ length: count }, (_, i) => `${request}/${i} ${'x'.repeat((i * 31) % 70)}`);
      const answer = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: lines.join('\n') });
      expect([answer.status, answer.at('index'), answer.at('count')]).toEqual([201, sent.length, count]);
      sent.push(...lines);
    }
    const more = Array.from({ length: 8 }, (_, request) =>
      Array.from({ length: 90 + request }, (__, i) => `at once ${request}/${i}`),
    );
    await Promise.all(
      more.map(async (lines) => {
        const answer = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: lines.join('\n') });
        const index = Number(answer.at('index'));
        for (const [i, line] of lines.entries()) sent[index + i] = line;
      }),
    );
    const held: string[] = [];
    for (let index = 0; index < sent.length; index++) held.push((await payload(log, index)).toString());
    expect(held).toEqual(sent);
  });

  const body = 'one\r\n\n  \t\r\n{"two": 2}\n\xff not UTF-8\nlast';
  const bytes = Buffer.from(body, 'latin1');

  it.each([
    ['?split=lines with any type', '?split=lines', 'application/json'],
    ['?split=lines without a type', '?split=lines', ''],
    ['NDJSON', '', 'application/x-ndjson'],
    ['NDJSON with parameters', '', 'Application/X-NDJSON; charset=utf-8'],
  ])('are entries as they are, blank ones skipped: %s', async (_, query, type) => {
    const log = await newLog();
    const answer = await service.send('POST', `/v1/logs/${log}/entries${query}`, {
      body: bytes,
      headers: { 'content-type': type },
    });
    expect(answer.json).toMatchObject({ index: 0, count: 4, digest: sha256('last') });
    const stored = await Promise.all([0, 1, 2, 3].map((index) => payload(log, index)));
    expect(stored.map((line) => line.toString('latin1'))).toEqual(['one\r', '{"two": 2}', '\xff not UTF-8', 'last']);
    expect(answer.at('receipt')).toBe(`/v1/logs/${log}/entries/3/receipt`);
  });

  it('number 10,000 at most, all of 8 MiB at most, all or none', async () => {
    const log = await newLog();
    const path = `/v1/logs/${log}/entries?split=lines`;
    const send = (body: Uint8Array | string): Promise<Answer> => service.send('POST', path, { body });
    await expectRefused(log, await send('a\n'.repeat(10_001)), 400, 'batch-too-large');
    await expectRefused(log, await send(new Uint8Array(8 * MIB + 1)), 413, 'body-too-large');
    await expectRefused(log, await send(' \n\r\n\t\n'), 400, 'batch-empty');
    await expectRefused(log, await send(''), 400, 'batch-empty');
    expect((await send(`${'a\n'.repeat(10_000)}\n \n`)).at('count')).toBe(10_000);
    expect(await sizeOf(log)).toBe(10_000);
  });

  it('over 1 MiB are logged by their digest alone, and counted', async () => {
    const log = await newLog();
    const long = 'x'.repeat(MIB + 1);
    const answer = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: `a\n${long}\nb` });
    expect(answer.json).toMatchObject({ index: 0, count: 3, digestOnly: 1 });
    const entry = await service.send('GET', `/v1/logs/${log}/entries/1`);
    expect(entry.json).toMatchObject({ digest: sha256(long), payloadSize: null });
    expect((await service.send('GET', '/metrics')).text).toContain(
      'antequem_digest_only_entries_total{way="entries"} 1',
    );
    expect(service.logged()).toContain('lines larger than an entry were logged by digest alone');
  });

  it('fill 8 MiB to the last byte', async () => {
    const log = await newLog();
    const line = `${'y'.repeat(MIB - 1)}\n`;
    const answer = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: line.repeat(8) });
    expect(answer.json).toMatchObject({ count: 8 });
  });
});

describe('a form', () => {
  it.each([
    ['', 'application/octet-stream'],
    ['?split=lines', 'application/x-ndjson'],
  ])('is refused with the right command at /entries%s', async (query, type) => {
    const log = await newLog();
    const form = '--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nline\r\n--x--\r\n';
    const answer = await service.send('POST', `/v1/logs/${log}/entries${query}`, {
      body: form,
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
    });
    await expectRefused(log, answer, 415, 'media-type-unsupported');
    expect(answer.at('detail')).toContain(`curl --data-binary @FILE -H 'Content-Type: ${type}'`);
  });
});

describe('compressed bodies', () => {
  it('are entries once decompressed', async () => {
    const log = await newLog();
    const headers = { 'content-encoding': 'gzip' };
    await service.send('POST', `/v1/logs/${log}/entries`, { body: gzipSync('plain'), headers });
    expect((await payload(log, 0)).toString()).toBe('plain');
    const lines = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, {
      body: gzipSync('a\nb'),
      headers,
    });
    expect(lines.json).toMatchObject({ index: 1, count: 2 });
  });

  it('are refused as bombs, as broken, and in encodings unheard of', async () => {
    const log = await newLog();
    const path = `/v1/logs/${log}/entries?split=lines`;
    const send = (body: Uint8Array, encoding: string): Promise<Answer> =>
      service.send('POST', path, { body, headers: { 'content-encoding': encoding } });
    const bomb = gzipSync(new Uint8Array(200 * MIB));
    expect(bomb.length).toBeLessThan(MIB);
    await expectRefused(log, await send(bomb, 'gzip'), 413, 'body-too-large');
    const whole = gzipSync('a line\n'.repeat(1_000));
    await expectRefused(log, await send(whole.subarray(0, whole.length - 9), 'gzip'), 400, 'request-invalid');
    await expectRefused(log, await send(Buffer.from('not gzip at all'), 'gzip'), 400, 'request-invalid');
    await expectRefused(log, await send(whole, 'compress'), 415, 'encoding-unsupported');
    await expectRefused(log, await send(whole, 'gzip, gzip'), 415, 'encoding-unsupported');
  });
});

describe('digests', () => {
  const digests = ['a', 'b', 'c'].map((text) => sha256(text));

  it('stand for payloads that stay with the client', async () => {
    const log = await newLog();
    const json = await service.send('POST', `/v1/logs/${log}/digests`, { body: { digests } });
    expect(json.json).toMatchObject({ index: 0, count: 3, digest: digests[2] });
    const octets = await service.send('POST', `/v1/logs/${log}/digests`, {
      body: Buffer.from(digests.join(''), 'hex'),
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(octets.json).toMatchObject({ index: 3, count: 3, digest: digests[2] });
    const entry = await service.send('GET', `/v1/logs/${log}/entries/4`);
    expect(entry.json).toMatchObject({ digest: digests[1], payloadSize: null, erased: false });
    const absent = await service.send('GET', `/v1/logs/${log}/entries/4/payload`);
    expect([absent.status, absent.code]).toEqual([404, 'payload-absent']);
  });

  it.each<[string, Uint8Array | string, string, number, string]>([
    [
      'upper-case hex',
      JSON.stringify({ digests: [digests[0]?.toUpperCase()] }),
      'application/json',
      400,
      'digest-invalid',
    ],
    ['a short digest', JSON.stringify({ digests: ['00'] }), 'application/json', 400, 'digest-invalid'],
    [
      'one bad among good ones',
      JSON.stringify({ digests: [digests[0], 'x'] }),
      'application/json',
      400,
      'digest-invalid',
    ],
    ['none', '{"digests": []}', 'application/json', 400, 'digests-invalid'],
    ['no list', '{"digests": "00"}', 'application/json', 400, 'digests-invalid'],
    ['numbers', '{"digests": [1, null, {}]}', 'application/json', 400, 'digests-invalid'],
    ['a field too many', JSON.stringify({ digests, more: 1 }), 'application/json', 400, 'digests-invalid'],
    ['null', 'null', 'application/json', 400, 'digests-invalid'],
    ['no JSON', '{"digests": [', 'application/json', 400, 'json-invalid'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'application/json', 400, 'json-invalid'],
    ['nothing as JSON', '', 'application/json', 400, 'json-invalid'],
    ['31 bytes', new Uint8Array(31), 'application/octet-stream', 400, 'digest-invalid'],
    ['no bytes', '', 'application/octet-stream', 400, 'batch-empty'],
    ['too many bytes', new Uint8Array(32 * 10_001), 'application/octet-stream', 400, 'batch-too-large'],
    ['another type', digests.join('\n'), 'text/plain', 415, 'media-type-unsupported'],
    ['no type', new Uint8Array(32), '', 415, 'media-type-unsupported'],
  ])('are refused: %s', async (_, body, type, status, code) => {
    const log = await newLog();
    const answer = await service.send('POST', `/v1/logs/${log}/digests`, { body, headers: { 'content-type': type } });
    await expectRefused(log, answer, status, code);
  });

  it('number 10,000 at most, and millions of anything else are refused at no cost', async () => {
    const log = await newLog();
    const send = (body: string): Promise<Answer> =>
      service.send('POST', `/v1/logs/${log}/digests`, { body, headers: { 'content-type': 'application/json' } });
    await expectRefused(
      log,
      await send(JSON.stringify({ digests: Array(10_001).fill(digests[0]) })),
      400,
      'digests-invalid',
    );
    const before = process.memoryUsage().rss;
    await expectRefused(log, await send(`{"digests":[${'0,'.repeat(4_000_000)}0]}`), 400, 'digests-invalid');
    await expectRefused(log, await send(`{"digests":${'['.repeat(4_000_000)}`), 400, 'json-invalid');
    await expectRefused(log, await send(`${'['.repeat(100_000)}${']'.repeat(100_000)}`), 400, 'digests-invalid');
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * MIB);
    expect((await send(JSON.stringify({ digests: Array(10_000).fill(digests[0]) }))).at('count')).toBe(10_000);
  });
});

describe('what may not be appended to', () => {
  it('is the log of the service, and logs that do not exist', async () => {
    const system = await service.send('POST', '/v1/logs/_system/entries', { body: 'x' });
    expect([system.status, system.code]).toEqual([403, 'log-reserved']);
    const none = await service.send('POST', '/v1/logs/nowhere/digests', { body: { digests: [sha256('')] } });
    expect([none.status, none.code]).toEqual([404, 'log-not-found']);
    const split = await service.send('POST', '/v1/logs/nowhere/entries?split=words', { body: 'x' });
    expect([split.status, split.code]).toEqual([400, 'query-invalid']);
  });
});

describe('a body that does not come to its end', () => {
  it.each([
    ['cut off', 'cut'],
    ['half closed', 'end'],
  ] as const)('leaves nothing behind: %s', async (_, then) => {
    const log = await newLog();
    const head = { 'Content-Length': '1000', 'Content-Type': 'application/x-ndjson' };
    await sendRaw(service.url, requestText('POST', `/v1/logs/${log}/entries`, head, 'a\nb\n'), then);
    const chunked = requestText('POST', `/v1/logs/${log}/entries`, { 'Transfer-Encoding': 'chunked' });
    await sendRaw(service.url, `${chunked}4\r\nabcd\r\n`, then);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await sizeOf(log)).toBe(0);
  });
});
