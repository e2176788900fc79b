import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookForDue } from '../../src/log/retention-run.ts';
import { startRetention } from '../../src/start/retention.ts';
import { run } from '../cli/command.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

let service: TestService;
let admin: string;
let reader: string;

beforeAll(async () => {
  service = await testService({ open: false });
  admin = (await service.key(['admin'])).token;
  reader = (await service.key(['read'])).token;
  await service.send('PUT', '/v1/logs/mine', { token: admin });
  await service.send('POST', '/v1/logs/mine/entries?split=lines', { token: admin, body: 'zero\none\ntwo' });
});
afterAll(() => service[Symbol.asyncDispose]());

const send = (method: string, path: string, body?: object, token = admin): Promise<Answer> =>
  service.send(method, `/v1/${path}`, { token, ...(body === undefined ? {} : { body }) });

describe('retention of a log', () => {
  const path = 'logs/mine/retention';

  it('is set, shown and cleared', async () => {
    const none = { log: 'log.test/logs/mine', period: null, setAt: null, erased: 0, open: 0, dueSince: null };
    expect((await send('GET', path, undefined, reader)).json).toEqual({ ...none, unconfirmedSince: null });
    const set = await send('PUT', path, { period: '400d' });
    expect([set.status, set.at('period')]).toEqual([200, '400d']);
    expect((await send('PUT', path, { period: '48h' })).at('period')).toBe('2d');
    expect((await send('DELETE', path)).json).toMatchObject(none);
  });

  it.each([
    [{ period: '0d' }, 400, 'retention-invalid'],
    [{ period: '400' }, 400, 'retention-invalid'],
    [{ period: '40000d' }, 400, 'retention-invalid'],
    [{ days: 3 }, 400, 'retention-invalid'],
  ])('%j: %i %s', async (body, status, code) => {
    const answer = await send('PUT', path, body);
    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  it('takes the scope admin, and never _system', async () => {
    expect((await send('PUT', path, { period: '1d' }, reader)).code).toBe('forbidden');
    expect((await send('DELETE', path, undefined, reader)).code).toBe('forbidden');
    expect((await send('PUT', 'logs/_system/retention', { period: '1d' })).code).toBe('log-reserved');
    expect((await send('PUT', 'logs/none/retention', { period: '1d' })).code).toBe('log-not-found');
  });
});

describe('legal holds', () => {
  const path = 'logs/mine/holds';

  it('keep entries from being erased until they are removed', async () => {
    const added = await send('POST', path, { from: '2020-01-01T01:00:00+01:00', reason: 'case 4711' });
    const id = String(added.at('id'));
    expect([added.status, added.json]).toEqual([
      201,
      {
        id: expect.stringMatching(/^hold_[0-9a-f]{32}$/),
        log: 'log.test/logs/mine',
        from: '2020-01-01T00:00:00.000Z',
        to: null,
        reason: 'case 4711',
        addedAt: expect.any(String),
        inDatabase: true,
        inStore: null,
      },
    ]);
    expect((await send('GET', path, undefined, reader)).json).toEqual({ holds: [added.json], unconfirmedSince: null });
    expect((await send('GET', 'holds')).json).toEqual({ holds: [added.json], unconfirmedSince: null });
    const held = await send('DELETE', 'logs/mine/entries/1/payload');
    expect([held.status, held.code]).toEqual([409, 'entry-held']);
    expect((await send('DELETE', `logs/_system/holds/${id}`)).code).toBe('hold-not-found');
    expect((await send('DELETE', `${path}/${id}`)).json).toEqual({ id, removed: true });
    expect((await send('DELETE', `${path}/${id}`)).code).toBe('hold-not-found');
    expect((await send('DELETE', 'logs/mine/entries/1/payload')).status).toBe(200);
  });

  it.each([
    [{}, 'hold-invalid'],
    [{ reason: '' }, 'hold-invalid'],
    [{ reason: 'two\nlines' }, 'hold-invalid'],
    [{ reason: 'x', from: '2020-01-01' }, 'hold-invalid'],
    [{ reason: 'x', from: '2020-01-01T00:00:00' }, 'hold-invalid'],
    [{ reason: 'x', to: '2020-02-30T00:00:00Z' }, 'hold-invalid'],
    [{ reason: 'x', from: '2020-01-02T00:00:00.000Z', to: '2020-01-01T00:00:00.000Z' }, 'hold-invalid'],
  ])('%j: %s', async (body, code) => {
    const answer = await send('POST', path, body);
    expect([answer.status, answer.code]).toEqual([400, code]);
  });

  it('take the scope admin, and never _system', async () => {
    expect((await send('POST', path, { reason: 'x' }, reader)).code).toBe('forbidden');
    expect((await send('GET', 'holds', undefined, reader)).code).toBe('forbidden');
    expect((await send('POST', 'logs/_system/holds', { reason: 'x' })).code).toBe('log-reserved');
  });

  it('are confirmed as they are, or not at all', async () => {
    const none = await send('POST', 'holds/confirmation', { holds: [`hold_${'0'.repeat(32)}`] });
    expect([none.status, none.code]).toEqual([409, 'holds-changed']);
    await service.foundation.database.query('UPDATE retention_state SET unconfirmed_since = 5');
    const refused = await send('DELETE', 'logs/mine/entries/2/payload');
    expect([refused.status, refused.code]).toEqual([409, 'holds-unconfirmed']);
    const { database, registry, appender, holds } = service.foundation;
    const look = lookForDue({
      database,
      registry,
      sequencing: appender.sequencing,
      holds,
      archive: null,
      interval: 0,
      stopping: new AbortController().signal,
    });
    await expect(look).rejects.toMatchObject({ code: 'holds-unconfirmed' });
    expect((await send('POST', 'holds/confirmation', { holds: [] })).json).toEqual({
      holds: [],
      unconfirmedSince: null,
    });
    expect((await send('DELETE', 'logs/mine/entries/2/payload')).status).toBe(200);
  });
});

it('a worker erases what is due, at times of its own', async () => {
  await send('PUT', 'logs/worked');
  await service.send('POST', '/v1/logs/worked/entries', { token: admin, body: 'old' });
  await send('PUT', 'logs/worked/retention', { period: '1s' });
  const { database, registry, appender, holds, archives } = service.foundation;
  const parts = { database, registry, sequencing: appender.sequencing, holds, archive: archives.blocks };
  const stop = startRetention({ ...parts, interval: 200, logger: pino({ level: 'silent' }) });
  const erased = async (): Promise<unknown> => (await send('GET', 'logs/worked/retention')).at('erased');
  await expect.poll(erased, { timeout: 30_000 }).toBe(1);
  await stop();
  expect((await send('GET', 'logs/worked/entries/0')).at('erased')).toBe(true);
});

it('the commands do the same', async () => {
  const env = { ANTEQUEM_URL: service.url, ANTEQUEM_API_KEY: admin };
  const ran = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(args, { env });
    expect(stderr.replace(/^no LOG_GUARD_FILE.*\n/m, '')).toBe('');
    expect(code).toBe(0);
    return stdout;
  };
  expect(await ran('retention', 'set', 'mine', '400d')).toContain('mine keeps its entries for 400d, since ');
  expect(await ran('retention', 'show', 'mine')).toContain('mine keeps its entries for 400d, since ');
  const reason = 'case 4712';
  const added = await ran('hold', 'add', 'mine', '--from', '2025-01-01', '--to', '2025-12-31', '--reason', reason);
  expect(added).toContain('mine  2025-01-01T00:00:00.000Z to 2026-01-01T00:00:00.000Z  case 4712');
  const [id = ''] = added.split(' ');
  expect(await ran('hold', 'list')).toBe(added);
  expect(await ran('hold', 'confirm', '--yes')).toContain('confirmed 1 hold: it was not stopped');
  expect(await ran('hold', 'remove', 'mine', id)).toBe(`removed ${id}\n`);
  expect(await ran('retention', 'clear', 'mine')).toContain('mine keeps its entries for ever');
});
