// Sources that are fetched from: every event once, in whatever mood the API is, and over kills.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pullOnce } from '../../src/sources/pulled/puller.ts';
import { API_TOKEN, AuditApi, GROUP, type Mood } from '../support/audit-apis.ts';
import { type TestService, testService } from '../support/service.ts';
import { startServiceChild } from '../support/service-child.ts';

const HOUR = 3_600_000;
let service: TestService;
beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

const APIS = [
  {
    scheme: 'snyk-audit',
    open: () => AuditApi.snyk(),
    settings: { group: GROUP },
    idOf: (event: Event) => event.content?.n,
  },
  { scheme: 'hoop-audit', open: () => AuditApi.hoop(), settings: {}, idOf: (event: Event) => event.id },
] as const;
interface Event {
  readonly id?: string;
  readonly content?: { readonly n: string };
}

interface Ground {
  readonly id: string;
  readonly log: string;
  /** Fetches until nothing is due. */
  readonly pull: () => Promise<void>;
  /** The events of the log, in its order. */
  readonly logged: () => Promise<Event[]>;
  readonly lines: () => Promise<string[]>;
  readonly state: () => Promise<{ wait: number; failures: number; problem: string | null; refusal: string | null }>;
  readonly due: () => Promise<unknown>;
}

async function ground(api: AuditApi, scheme: string, settings: object): Promise<Ground> {
  const { sources, database, appender } = service.foundation;
  const log = `log-${randomUUID().slice(0, 8)}`;
  await service.send('PUT', `/v1/logs/${log}`);
  const all = { url: api.url, from: new Date(Date.now() - 40 * HOUR).toISOString(), ...settings };
  const { source } = await sources.create({ name: log, log, scheme, settings: all, secret: API_TOKEN });
  const options = { database, sources, sequencing: appender.sequencing, logger: pino({ level: 'silent' }) };
  const lines = async (): Promise<string[]> => {
    const { text } = await service.send('GET', `/v1/logs/${log}/export?receipts=false`);
    return text.split('\n').flatMap((line) => (line === '' ? [] : [String(JSON.parse(line).payload.text)]));
  };
  return {
    id: source.id,
    log,
    pull: async () => {
      while (await pullOnce(options, new AbortController().signal));
    },
    lines,
    logged: async () => (await lines()).map((line) => JSON.parse(line).event),
    state: async () => {
      const { rows } = await database.query(
        `SELECT c.next_at, c.failures, c.problem, s.refusal FROM source_cursors c JOIN sources s ON s.id = c.source WHERE s.id = $1`,
        [source.id],
      );
      return { ...rows[0], wait: rows[0].next_at - Date.now() };
    },
    due: () => database.query('UPDATE source_cursors SET next_at = 0 WHERE source = $1', [source.id]),
  };
}

function add(api: AuditApi, count: number, from: number, every: number, name = 'e'): void {
  for (let i = 0; i < count; i++)
    api.events.push({ id: `${name}-${i}`, at: Math.floor(from + i * every), kind: 'user.add' });
}

describe.each(APIS)('$scheme', ({ scheme, open, settings, idOf }) => {
  it('logs every event once, however its windows and pages lie, and then what is new or late', async () => {
    await using api = await open();
    add(api, 330, Date.now() - 39 * HOUR, (38 * HOUR) / 330);
    const { pull, logged, due } = await ground(api, scheme, settings);
    await pull();
    const ids = (await logged()).map(idOf);
    expect(ids.toSorted()).toEqual(api.events.map(({ id }) => id).toSorted());
    // At once after the last window: late into it, and new.
    add(api, 2, Date.now() - 2 * 60_000, 1_000, 'late');
    await due();
    await pull();
    expect((await logged()).slice(330).map(idOf)).toEqual(['late-0', 'late-1']);
    await due();
    await pull();
    expect(await logged()).toHaveLength(332);
  });

  const moods: readonly (readonly [string, Mood, string, number])[] = [
    ['429', (_, response) => !!response.writeHead(429).end(), 'pull-throttled', 60_000],
    [
      '429 with Retry-After',
      (_, response) => !!response.writeHead(429, { 'retry-after': '300' }).end(),
      'pull-throttled',
      290_000,
    ],
    ['500', (_, response) => !!response.writeHead(500).end('{}'), 'pull-refused', 0],
    [
      'a redirect',
      (_, response) => !!response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'pull-refused',
      0,
    ],
    ['something else', (_, response) => !!response.writeHead(200).end('<html>'), 'pull-invalid', 0],
    ['nothing', (request) => !!request.socket.destroy(), 'pull-unreachable', 0],
  ];
  it.each(moods)('answered by %s waits, tells why, and goes on where it was', async (_, mood, code, least) => {
    await using api = await open();
    add(api, 150, Date.now() - 20 * HOUR, 1_000);
    const { pull, logged, state, due } = await ground(api, scheme, settings);
    // The first page comes, the second does not.
    api.mood = (request, response) => /cursor=|page=2/.test(request.url ?? '') && mood(request, response);
    await pull();
    const before = api.asked;
    const failed = await state();
    expect(failed).toMatchObject({ failures: 1, refusal: code, problem: expect.any(String) });
    expect(failed.wait).toBeGreaterThan(least);
    expect(JSON.stringify(failed) + service.logged()).not.toContain(API_TOKEN);
    await pull();
    expect(api.asked).toBe(before);
    expect(await logged()).toHaveLength(100);
    api.mood = () => false;
    await due();
    await pull();
    expect(new Set((await logged()).map(idOf)).size).toBe(150);
    expect(await logged()).toHaveLength(150);
    expect(await state()).toMatchObject({ failures: 0, problem: null });
  });

  it('stores a page once when two processes fetch it', async () => {
    await using api = await open();
    add(api, 50, Date.now() - 20 * HOUR, 1_000);
    const { pull, logged, due } = await ground(api, scheme, settings);
    api.delay = 300;
    const both = [pull()];
    await sleep(100);
    // As if the first had been given up for dead.
    await due();
    both.push(pull());
    await Promise.all(both);
    expect((await logged()).map(idOf).toSorted()).toEqual(api.events.map(({ id }) => id).toSorted());
  });
});

it('what cannot be made canonical is set aside, and the rest of its page is logged', async () => {
  await using api = await AuditApi.hoop();
  const data = '[{"id":"1","note":"\\ud800"},{"id":"2","id":"3"},{"id":"4","big":12345678901234567890}]';
  api.mood = (_, response) => !!response.writeHead(200).end(`{"pages":{"total":3,"page":1,"size":100},"data":${data}}`);
  const { pull, lines } = await ground(api, 'hoop-audit', { from: new Date(Date.now() - HOUR).toISOString() });
  await pull();
  const found = await lines();
  expect(found).toHaveLength(3);
  expect(found.filter((line) => line.includes('"pulled/v1"')).length).toBeGreaterThanOrEqual(1);
});

it.each([
  ['snyk-audit', { group: GROUP, org: GROUP }, 'token'],
  ['snyk-audit', {}, 'token-token'],
  ['snyk-audit', { group: '../x' }, 'token-token'],
  ['snyk-audit', { group: GROUP, url: 'https://user@host' }, 'token-token'],
  ['hoop-audit', {}, 'token-token'],
  ['hoop-audit', { url: 'https://x', from: 'yesterday' }, 'token-token'],
  ['hoop-audit', { url: 'https://x', pauseSeconds: 0 }, 'token-token'],
  ['hoop-audit', { url: 'https://x' }, undefined],
])('%s with %j is refused', async (scheme, settings, secret) => {
  await service.send('PUT', '/v1/logs/refusals');
  const making = service.foundation.sources.create({ name: 'refused', log: 'refusals', scheme, settings, secret });
  await expect(making).rejects.toMatchObject({ code: 'source-invalid' });
});

it('workers that are killed again and again log every event once', async () => {
  await using api = await AuditApi.snyk();
  add(api, 400, Date.now() - 30 * HOUR, (29 * HOUR) / 400);
  api.delay = 200;
  const { logged, log, due } = await ground(api, 'snyk-audit', { group: GROUP });
  const { databaseUrl, origin, logSeedFile } = service.config;
  const environment = { DATABASE_URL: databaseUrl, ORIGIN: origin, LOG_SEED_FILE: logSeedFile, ROLES: 'worker' };
  const size = async (): Promise<unknown> => (await service.send('GET', `/v1/logs/${log}`)).at('size');
  let kills = 0;
  for (; (await size()) !== 400; kills++) {
    const child = await startServiceChild(environment);
    await sleep(200 + Math.random() * 600);
    await child.kill();
    // Whoever was killed while it asked is given up for dead at once.
    await due();
  }
  expect(kills).toBeGreaterThan(0);
  const ids = (await logged()).map(({ content }) => content?.n);
  expect(ids).toHaveLength(400);
  expect(new Set(ids).size).toBe(400);
});
