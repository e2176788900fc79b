// A database set back under the service as it runs, and what its operator does about it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { type Running, serve } from '../../src/main.ts';
import { SENDER_KEY } from '../support/anchoring.ts';
import { copyDatabase } from '../support/backup.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { run } from './command.ts';

let folder: string;
const databases: TestDatabase[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-recover-'));
  await writeFile(join(folder, 'seed'), '07'.repeat(32));
});

afterAll(async () => {
  for (const database of databases) await database.drop();
  await rm(folder, { recursive: true, force: true });
});

const keep = (database: TestDatabase): TestDatabase => {
  databases.push(database);
  return database;
};

const post = async (service: Running, path: string, body?: string): Promise<{ status: number; json: unknown }> => {
  const init = { method: body === undefined ? 'PUT' : 'POST', ...(body === undefined ? {} : { body }) };
  const response = await fetch(`${service.url}${path}`, init);
  return { status: response.status, json: await response.json() };
};
const get = async (service: Running, path: string): Promise<unknown> => (await fetch(`${service.url}${path}`)).json();

async function start(env: Record<string, string>): Promise<Running> {
  return serve({ ...readConfig(env), open: true }, pino({ level: 'silent' }));
}

describe('with a file beside the seed', () => {
  test('appends are refused and reads continue; recover shows the loss, and with --yes the service continues', async () => {
    const env = (url: string): Record<string, string> => ({
      DATABASE_URL: url,
      ORIGIN: 'recover.test',
      LOG_SEED_FILE: join(folder, 'seed'),
      LOG_GUARD_FILE: join(folder, 'published'),
      PORT: '0',
      ROLES: 'api',
    });
    const live = keep(await testDatabase());
    let service = await start(env(live.url));
    await post(service, '/v1/logs/demo');
    await post(service, '/v1/logs/demo/entries', 'kept');
    expect(await get(service, '/readyz')).toMatchObject({ status: 'ready' });
    await service.stop();
    const backup = keep(await copyDatabase(live.url));
    service = await start(env(live.url));
    await post(service, '/v1/logs/demo/entries', 'lost');
    expect(await get(service, '/v1/logs/demo/entries/1/receipt')).toMatchObject({ entry: { index: 1 } });
    await service.stop();
    expect(await run(['recover'], { env: env(live.url) })).toMatchObject({ code: 0 });

    service = await start(env(backup.url));
    expect(await post(service, '/v1/logs/demo/entries', 'other')).toMatchObject({
      status: 503,
      json: { code: 'database-set-back', detail: expect.stringContaining('antequem recover') },
    });
    expect(await post(service, '/v1/logs/more')).toMatchObject({ status: 503, json: { code: 'database-set-back' } });
    expect(await get(service, '/v1/logs/demo')).toMatchObject({ size: 1 });
    expect(await get(service, '/v1/logs/demo/entries/0')).toMatchObject({ index: 0 });
    expect(await get(service, '/readyz')).toMatchObject({
      status: 'ready',
      notices: expect.arrayContaining([expect.stringContaining('was set back')]),
    });
    await service.stop();

    const shown = await run(['recover'], { env: env(backup.url) });
    expect(shown).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('recover.test/logs/demo: at least 1 entry lost'),
    });
    expect(await run(['recover', '--json'], { env: env(backup.url) })).toMatchObject({ code: 1 });
    const accepted = await run(['recover', '--yes', '--json'], { env: env(backup.url) });
    expect(accepted.code).toBe(0);
    expect(JSON.parse(accepted.stdout)).toMatchObject({
      adopted: true,
      losses: [{ subject: 'recover.test/logs/demo', published: { size: 2 }, now: { size: 1 } }],
    });
    expect(await run(['recover'], { env: env(backup.url) })).toMatchObject({ code: 0 });
    service = await start(env(backup.url));
    expect(await post(service, '/v1/logs/demo/entries', 'other')).toMatchObject({ status: 201, json: { index: 1 } });
    expect(await get(service, '/v1/logs/demo/entries/1/receipt')).toMatchObject({ entry: { index: 1 } });
    await service.stop();
  });
});

describe('without such a store', () => {
  let chain: TestChain;
  beforeAll(async () => {
    chain = await testChain();
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    await writeFile(join(folder, 'key'), SENDER_KEY);
  });
  afterAll(() => chain[Symbol.asyncDispose]());

  test('anchored rounds are compared: rounds on the chain that the database lacks stop everything, until adopted', async () => {
    const env = (url: string): Record<string, string> => ({
      DATABASE_URL: url,
      ORIGIN: 'recover.test',
      LOG_SEED_FILE: join(folder, 'seed'),
      PORT: '0',
      ROUND_INTERVAL: '200ms',
      RECONCILE_INTERVAL: '500ms',
      EVM_RPC_URLS: chain.url,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
    });
    const anchored = async (service: Running, index: number): Promise<void> => {
      const receipt = await get(service, `/v1/logs/demo/entries/${index}/receipt?wait=20&until=finalized`);
      expect(receipt).toMatchObject({ anchors: [{ status: 'finalized' }] });
    };
    const live = keep(await testDatabase());
    let service = await start(env(live.url));
    expect(await get(service, '/readyz')).toMatchObject({
      notices: [expect.stringContaining('shows only where it was anchored')],
    });
    await post(service, '/v1/logs/demo');
    await post(service, '/v1/logs/demo/entries', 'kept');
    await anchored(service, 0);
    await service.stop();
    const backup = keep(await copyDatabase(live.url));
    service = await start(env(live.url));
    await post(service, '/v1/logs/demo/entries', 'lost');
    await anchored(service, 1);
    await service.stop();
    const before = await chain.provider.getBlockNumber();

    service = await start(env(backup.url));
    expect(await post(service, '/v1/logs/demo/entries', 'other')).toMatchObject({
      status: 503,
      json: { code: 'database-set-back' },
    });
    // A process that does not look at the chain itself is told by way of the database.
    const api = await start({ ...env(backup.url), ROLES: 'api' });
    expect(await post(api, '/v1/logs/demo/entries', 'other')).toMatchObject({ status: 503 });
    await Promise.all([api.stop(), service.stop()]);
    expect(await chain.provider.getBlockNumber()).toBe(before);

    const shown = await run(['recover'], { env: env(backup.url) });
    expect(shown).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/anchored the root [0-9a-f]{64} on eip155:31337/),
    });
    expect(await run(['recover', '--yes'], { env: env(backup.url) })).toMatchObject({ code: 0 });
    service = await start(env(backup.url));
    expect(await post(service, '/v1/logs/demo/entries', 'other')).toMatchObject({ status: 201, json: { index: 1 } });
    await anchored(service, 1);
    await service.stop();
  });
});
