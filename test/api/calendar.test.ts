import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markLeaves } from '../../src/anchor/leaf-marks.ts';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';
import { timestampLines } from '../../src/ots/line.ts';
import { parseTimestamp } from '../../src/ots/serialization.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';
import { startServiceChild } from '../support/service-child.ts';

const URI = 'https://calendar.example.org';
let service: TestService;

beforeAll(async () => {
  service = await testService({ config: { calendar: { uri: URI, perMinute: 100_000 } } });
});
afterAll(() => service[Symbol.asyncDispose]());

const submit = (body: Uint8Array | string, headers = {}): Promise<Answer> =>
  service.send('POST', '/digest', { body, headers });
const ask = (commitment: string): Promise<Answer> => service.send('GET', `/timestamp/${commitment}`);

const waiting = async (): Promise<string[]> => {
  const { rows } = await service.foundation.database.query<{ commitment: Uint8Array }>(
    'SELECT commitment FROM digests',
  );
  return rows.map(({ commitment }) => toHex(commitment));
};

const sha256 = (...parts: Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash('sha256')
      .update(concat(...parts))
      .digest(),
  );

describe('POST /digest', () => {
  it.each([1, 20, 32, 64])('answers for %i bytes with a timestamp down to the leaf it will be', async (length) => {
    const digest = new Uint8Array(randomBytes(length));
    const answer = await submit(digest);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/vnd.opentimestamps.v1');
    const [line, ...more] = timestampLines(parseTimestamp(new Uint8Array(answer.bytes), digest));
    expect(more).toEqual([]);
    expect(line?.attestation).toEqual({ kind: 'pending', uri: URI });
    const [append] = line?.ops ?? [];
    if (append?.kind !== 'append') throw new Error('no nonce');
    expect(append.argument).toHaveLength(16);
    const commitment = sha256(digest, append.argument);
    expect(line?.message).toEqual(sha256(new Uint8Array([0x00, 0x82]), commitment));
    expect(await waiting()).toContain(toHex(commitment));
  });

  it('takes whatever content type clients send, which say different things of it', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'application/json', 'text/html', 'x/y; charset="']) {
      expect((await submit('digest', { 'content-type': type })).status).toBe(200);
    }
  });

  it('gives equal digests leaves of their own', async () => {
    const [one, two] = await Promise.all([submit('same'), submit('same')]);
    expect(one?.bytes.equals(two?.bytes ?? Buffer.alloc(0))).toBe(false);
  });

  it.each([
    ['nothing', '', {}, 400, 'digest-length'],
    ['65 bytes', 'x'.repeat(65), {}, 413, 'body-too-large'],
    ['a megabyte', 'x'.repeat(1 << 20), {}, 413, 'body-too-large'],
    [
      '65 bytes that were 1,000 before gzip',
      gzipSync('x'.repeat(1_000)),
      { 'content-encoding': 'gzip' },
      413,
      'body-too-large',
    ],
    ['what is no gzip', 'digest', { 'content-encoding': 'gzip' }, 400, 'request-invalid'],
    ['an encoding nobody knows', 'digest', { 'content-encoding': 'rot13' }, 415, 'encoding-unsupported'],
  ])('refuses %s, and writes nothing', async (_what, body, headers, status, code) => {
    const before = await waiting();
    const answer = await submit(body, headers);
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(await waiting()).toEqual(before);
  });

  it('refuses what lies about its length', async () => {
    const before = await waiting();
    const short = requestText('POST', '/digest', { 'Content-Length': '20' }, 'only this');
    await sendRaw(service.url, short, 'cut');
    const chunks = `POST /digest HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    const long = await sendRaw(service.url, `${chunks}${`20\r\n${'x'.repeat(32)}\r\n`.repeat(3)}0\r\n\r\n`);
    expect(long.status).toBe(413);
    const negative = await sendRaw(service.url, requestText('POST', '/digest', { 'Content-Length': '-1' }));
    expect(negative.status).toBe(400);
    expect(await waiting()).toEqual(before);
  });

  it('is for pages of other sites, too, and for no other method', async () => {
    expect((await submit('digest')).headers.get('access-control-allow-origin')).toBe('*');
    const preflight = await service.send('OPTIONS', '/digest', {
      headers: { 'access-control-request-method': 'POST' },
    });
    expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([204, 'GET, HEAD, POST']);
    expect((await service.send('GET', '/digest')).status).toBe(405);
    expect((await service.send('POST', '/Digest', { body: 'x' })).status).toBe(404);
  });
});

describe('GET /timestamp', () => {
  it('says that it waits, before its round as after, and of what it never had that it does not know it', async () => {
    const digest = new Uint8Array(randomBytes(32));
    const [line] = timestampLines(parseTimestamp(new Uint8Array((await submit(digest)).bytes), digest));
    const commitment = toHex(line?.message ?? new Uint8Array(0));
    const before = await ask(commitment);
    expect([before.status, before.headers.get('content-type')]).toEqual([404, 'text/plain; charset=utf-8']);
    expect(before.text).toMatch(/^Pending/);
    expect(await service.closeRound()).not.toBeNull();
    const after = await ask(commitment.toUpperCase());
    expect([after.status, after.text]).toEqual([404, before.text]);
    const unknown = await ask('00'.repeat(32));
    expect([unknown.status, unknown.text]).toEqual([404, 'Commitment not found in this calendar']);
    // As other calendars have them.
    expect((await ask('00'.repeat(44))).text).toBe(unknown.text);
  });

  it('knows the leaf of a log that was marked as it knows that of a digest', async () => {
    await service.send('PUT', '/v1/logs/demo');
    await service.send('POST', '/v1/logs/demo/entries', { body: 'entry' });
    const round = await service.closeRound();
    const leaves = (await service.send('GET', `/v1/rounds/${round?.number}`)).at('leaves');
    if (!Array.isArray(leaves)) throw new Error('no leaves');
    const leaf = leaves.map((each) => fromHex(String(each))).find((each) => each[0] === 0x81);
    const hash = sha256(new Uint8Array([0x00]), leaf ?? new Uint8Array(0));
    expect((await ask(toHex(hash))).text).toMatch(/^Commitment not found/);
    await markLeaves(service.foundation.database, round?.number ?? 0, [hash]);
    expect((await ask(toHex(hash))).text).toMatch(/^Pending/);
  });

  it.each(['0g', 'abc', '', '00'.repeat(257), '%00%00', '../../v1/logs', `${'00'.repeat(32)}/`])(
    'refuses %s',
    async (commitment) => {
      const { status, text } = await sendRaw(service.url, requestText('GET', `/timestamp/${commitment}`));
      expect([400, 404]).toContain(status);
      expect(text).not.toMatch(/Pending|not found in this calendar/);
    },
  );
});

describe('a calendar', () => {
  it('lets no address have more than its share, whatever it says to be', async () => {
    await using busy = await testService({ config: { calendar: { uri: URI, perMinute: 5 } } });
    const post = (headers = {}): Promise<Answer> => busy.send('POST', '/digest', { body: 'digest', headers });
    for (let i = 0; i < 5; i++) expect((await post()).status).toBe(200);
    const refused = await post({ 'x-forwarded-for': '192.0.2.9' });
    expect([refused.status, refused.code]).toEqual([429, 'rate-limited']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await busy.send('GET', `/timestamp/${'00'.repeat(32)}`)).status).toBe(404);
  });

  it('tells addresses behind a trusted proxy apart', async () => {
    const config = { calendar: { uri: URI, perMinute: 1 }, trustedProxies: ['loopback'] };
    await using proxied = await testService({ config });
    const from = async (address: string): Promise<number> =>
      (await proxied.send('POST', '/digest', { body: 'x', headers: { 'x-forwarded-for': address } })).status;
    expect(await from('192.0.2.1')).toBe(200);
    expect(await from('192.0.2.1')).toBe(429);
    // What the client itself says it came through counts for nothing.
    expect(await from('192.0.2.77, 192.0.2.1')).toBe(429);
    expect(await from('192.0.2.2')).toBe(200);
  });

  it('needs no key where all else does', async () => {
    await using closed = await testService({ open: false, config: { calendar: { uri: URI, perMinute: 100 } } });
    expect((await closed.send('GET', '/v1/logs')).status).toBe(401);
    expect((await closed.send('POST', '/digest', { body: 'digest' })).status).toBe(200);
    expect((await closed.send('GET', `/timestamp/${'00'.repeat(32)}`)).status).toBe(404);
    const page = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' };
    expect((await closed.send('POST', '/digest', { body: 'digest', headers: page })).status).toBe(200);
  });

  it('that is open on loopback takes nothing from pages of other sites', async () => {
    const page = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' };
    expect((await submit('digest', page)).code).toBe('site-forbidden');
  });

  it('is not there unless it is on', async () => {
    await using off = await testService();
    expect((await off.send('POST', '/digest', { body: 'digest' })).code).toBe('not-found');
    expect((await off.send('GET', `/timestamp/${'00'.repeat(32)}`)).code).toBe('not-found');
  });

  it('that is killed has all that it answered for', async () => {
    const { databaseUrl, origin, logSeedFile } = service.config;
    const child = await startServiceChild({
      DATABASE_URL: databaseUrl,
      ORIGIN: origin,
      LOG_SEED_FILE: logSeedFile,
      PORT: '0',
      ROLES: 'api',
      CALENDAR: 'on',
      // Nobody asks it: that is for workers.
      OTS_CALENDARS: 'http://127.0.0.1:9',
    });
    const promised: string[] = [];
    const killed = child.ended;
    let running = true;
    void killed.then(() => {
      running = false;
    });
    const pump = async (): Promise<void> => {
      while (running) {
        const digest = new Uint8Array(randomBytes(32));
        const answer = await fetch(`${child.url}/digest`, { method: 'POST', body: digest }).catch(() => null);
        const bytes = answer?.status === 200 ? await answer.arrayBuffer().catch(() => null) : null;
        if (bytes === null) continue;
        const [line] = timestampLines(parseTimestamp(new Uint8Array(bytes), digest));
        const [append] = line?.ops ?? [];
        if (append?.kind === 'append') promised.push(toHex(sha256(digest, append.argument)));
        if (promised.length === 200) void child.kill();
      }
    };
    await Promise.all(Array.from({ length: 20 }, pump));
    expect(promised.length).toBeGreaterThanOrEqual(200);
    expect(await waiting()).toEqual(expect.arrayContaining(promised));
  });

  it('answers 503 while its database does not, and goes on when it does', async () => {
    const holder = await service.foundation.database.connect();
    await holder.query('BEGIN; LOCK TABLE digests');
    const answer = await submit('digest');
    expect([answer.status, answer.code]).toEqual([503, 'database-unavailable']);
    await holder.query('ROLLBACK');
    holder.release();
    await expect.poll(async () => (await submit('digest')).status, { timeout: 120_000 }).toBe(200);
  });
});
