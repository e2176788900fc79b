import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eraseEntry } from '../../src/log/erase.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { run } from '../cli/command.ts';
import { type TestService, testService } from '../support/service.ts';

let service: TestService;
let admin: string;

beforeAll(async () => {
  service = await testService({ open: false });
  admin = (await service.key(['admin'])).token;
  await service.send('PUT', '/v1/logs/mine', { token: admin });
  const body = 'zero\none\ntwo\nthree';
  expect((await service.send('POST', '/v1/logs/mine/entries?split=lines', { token: admin, body })).status).toBe(201);
  await service.closeRound();
});
afterAll(() => service[Symbol.asyncDispose]());

const get = (path: string) => service.send('GET', `/v1/logs/mine/entries/${path}`, { token: admin });
const erase = (path: string, token = admin) => service.send('DELETE', `/v1/logs/${path}/payload`, { token });

describe('DELETE of a payload', () => {
  it('erases, says so when read back, and refuses new receipts; those handed out before still verify', async () => {
    const receipt = (await get('1/receipt')).json;
    const answer = await erase('mine/entries/1');
    expect([answer.status, answer.json]).toEqual([200, { log: 'log.test/logs/mine', index: 1, erased: true }]);

    const entry = await get('1');
    expect([entry.at('erased'), entry.at('digest'), entry.at('nonce'), entry.at('payloadSize')]).toEqual([
      true,
      null,
      null,
      null,
    ]);
    expect(entry.at('commitment')).toMatch(/^[0-9a-f]{64}$/);
    const payload = await get('1/payload');
    expect([payload.status, payload.code]).toEqual([404, 'payload-absent']);
    for (const refused of [await get('1/receipt'), await get('1/receipt?wait=5'), await get('1/receipt.path')]) {
      expect([refused.status, refused.code]).toEqual([410, 'entry-erased']);
    }
    const verdict = await verifyReceipt({ receipt, payload: Buffer.from('one') }, {});
    expect(verdict.claims.filter(({ status }) => status === 'refuted')).toEqual([]);
    expect(verdict.claims.find(({ claim }) => claim === 'content')?.status).toBe('verified');

    const neighbour = await verifyReceipt({ receipt: (await get('2/receipt')).json, payload: Buffer.from('two') }, {});
    expect(neighbour.claims.filter(({ status }) => status === 'refuted')).toEqual([]);
    expect((await get('2')).at('erased')).toBe(false);
  });

  it('by another process counts from its commit on, however often the receipt was asked for before', async () => {
    const { registry, appender, database } = service.foundation;
    const log = await registry.find('mine');
    if (log === null) throw new Error('the log is gone');
    const before = await Promise.all(Array.from({ length: 8 }, () => get('2/receipt')));
    expect(new Set(before.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(before[0]?.status).toBe(200);
    await eraseEntry(database, registry.system, appender.sequencing, log, 2, service.foundation.holds);
    expect((await get('2/receipt')).code).toBe('entry-erased');
  });

  it('changes nothing the second time', async () => {
    const size = async () => (await service.send('GET', '/v1/logs/_system', { token: admin })).at('size');
    await erase('mine/entries/3');
    const before = await size();
    expect((await erase('mine/entries/3')).status).toBe(200);
    expect(await size()).toBe(before);
  });

  it.each([
    ['mine/entries/4', 404, 'entry-not-found'],
    ['mine/entries/99999999', 404, 'entry-not-found'],
    ['mine/entries/-1', 400, 'path-invalid'],
    ['nowhere/entries/0', 404, 'log-not-found'],
    ['_system/entries/0', 403, 'log-reserved'],
  ])('%s: %i %s', async (path, status, code) => {
    const answer = await erase(path);
    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  it.each([
    ['append', ['append'], null],
    ['read', ['read'], null],
    ['admin of another log', ['admin'], ['theirs']],
  ] as const)('is not for a key with %s', async (_, scopes, logs) => {
    const { token } = await service.key([...scopes], logs === null ? null : [...logs]);
    const answer = await erase('mine/entries/0', token);
    expect([answer.status, answer.code]).toEqual([403, 'forbidden']);
    expect((await get('0')).at('erased')).toBe(false);
  });

  it('is a command', async () => {
    const env = { ANTEQUEM_URL: service.url, ANTEQUEM_API_KEY: admin };
    const ran = await run(['erase', 'mine', '2', '--yes', '--json'], { env });
    expect([ran.code, JSON.parse(ran.stdout)]).toEqual([0, { log: 'log.test/logs/mine', index: 2, erased: true }]);
    expect((await get('2')).at('erased')).toBe(true);
    const missing = await run(['erase', 'mine', '77', '--yes'], { env });
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('entry-not-found')]);
  });
});
