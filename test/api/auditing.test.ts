// What a third party's audit reads beside tiles.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { parseVerifierKey } from '../../src/core/note.ts';
import { type TestService, testService } from '../support/service.ts';

let service: TestService;
let token: string;
let narrow: string;

beforeAll(async () => {
  service = await testService({ open: false });
  const admin = (await service.key(['admin'])).token;
  token = (await service.key(['read'])).token;
  for (const log of ['demo', 'other']) {
    await service.send('PUT', `/v1/logs/${log}`, { token: admin });
    await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { token: admin, body: 'one\ntwo' });
  }
  narrow = (await service.key(['read'], ['demo'])).token;
  await service.closeRound();
  await service.closeRound();
  await service.send('GET', '/logs/_system/checkpoint');
});
afterAll(() => service[Symbol.asyncDispose]());

const read = (path: string, as: string | undefined = token) =>
  service.send('GET', `/v1/audit/${path}`, as === undefined ? {} : { token: as });

describe('who may read it', () => {
  it.each(['service', 'acts/000.p/1', 'rounds/001'])('%s: a key for all logs, and no other', async (path) => {
    expect((await read(path)).status).toBe(200);
    expect((await read(path, narrow)).status).toBe(403);
    expect((await service.send('GET', `/v1/audit/${path}`)).status).toBe(401);
  });
});

it('the service names its key, how many rounds there are, and its chains', async () => {
  const { json } = await read('service');
  const { registry } = service.foundation;
  const { verifierKey } = await registry.signer(registry.system);
  expect(json).toEqual({
    format: 'antequem-service/v1',
    origin: service.origin,
    verifierKey,
    verifierKeys: [verifierKey],
    rounds: 1,
    chains: [],
  });
  expect(parseVerifierKey(verifierKey).name).toBe(`${service.origin}/logs/_system`);
});

it('acts are the lines that _system commits to, up to what was published', async () => {
  const size = Number((await service.send('GET', '/logs/_system/checkpoint')).text.split('\n')[1]);
  const { text, headers } = await read(`acts/000.p/${size}`);
  const lines = text.split('\n');
  expect([lines.length, lines.at(-1)]).toEqual([size + 1, '']);
  expect(headers.get('content-type')).toContain('application/x-ndjson');
  const acts = lines.slice(0, -1).map((line) => JSON.parse(line).act);
  expect(acts).toEqual(expect.arrayContaining(['log-created', 'key-created', 'round-closed']));
  const one = await read('acts/000.p/1');
  expect(one.text).toBe(`${lines[0]}\n`);
  for (const missing of [`acts/000.p/${size + 1}`, 'acts/000', 'acts/001.p/1']) {
    expect((await read(missing)).code).toBe('tile-not-found');
  }
  for (const malformed of ['acts/0', 'acts/000.p/0', 'acts/000.p/256', 'acts/x']) {
    expect((await read(malformed)).code).toBe('tile-location');
  }
});

it('a round has its leaves with the checkpoints that were signed for them', async () => {
  const answer = await read('rounds/001');
  const round = (await service.send('GET', '/v1/rounds/1', { token })).json;
  expect(answer.json).toMatchObject({ number: 1, root: Object(round).root, size: 4, anchors: [] });
  const leaves = Object(answer.json).leaves;
  expect(leaves.map(({ leaf }: { leaf: string }) => leaf)).toEqual(Object(round).leaves);
  expect(leaves[0].checkpoint).toBeUndefined();
  const logs = leaves.slice(1).map(({ checkpoint }: { checkpoint: string }) => checkpoint.split('\n')[0]);
  const { origin } = service;
  expect(logs.sort()).toEqual([`${origin}/logs/_system`, `${origin}/logs/demo`, `${origin}/logs/other`]);
  const demo = await service.foundation.registry.find('demo');
  expect(Object(round).leaves.join()).toContain(toHex(demo?.logId ?? new Uint8Array(0)));
});

it.each(['rounds/002', 'rounds/000', 'rounds/1', 'rounds/001.leaves/000', 'rounds/001.leaves/001', 'rounds/x'])(
  '%s: there is no such thing',
  async (path) => {
    expect((await read(path)).code).toBe('round-not-found');
  },
);
