// DATABASE_READ_URL, with a streaming replica of Debian's PostgreSQL.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { parseNote } from '../../src/core/note.ts';
import { type Running, serve } from '../../src/main.ts';
import { realEffects } from '../../src/start/foundation.ts';
import { DebianPostgres, debianPostgresMissing } from '../support/debian-postgres.ts';
import { testConfig } from '../support/service.ts';

const LOG = '/logs/demo';
let primary: DebianPostgres;
let replica: DebianPostgres;
let folder: string;
let service: Running;

beforeAll(async () => {
  if (debianPostgresMissing !== null) return;
  primary = await DebianPostgres.open();
  replica = await DebianPostgres.open({ primary });
  folder = await mkdtemp(join(tmpdir(), 'antequem-read-replica-'));
  const config = { open: true, databaseReadUrl: replica.url() };
  service = await serve(await testConfig(primary.url(), folder, config), pino({ level: 'silent' }), {
    effects: realEffects,
  });
  await fetch(`${service.url}/v1${LOG}`, { method: 'PUT' });
});

afterAll(async () => {
  await service?.stop();
  await replica?.close();
  await primary?.close();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

async function append(count: number): Promise<void> {
  const body = Array.from({ length: count }, (_, i) => `entry ${i}`).join('\n');
  const answer = await fetch(`${service.url}/v1${LOG}/entries?split=lines`, { method: 'POST', body });
  expect(answer.status).toBe(201);
}

async function get(path: string): Promise<{ status: number; bytes: Buffer }> {
  const answer = await fetch(service.url + LOG + path);
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
}

/** Its size; the status where there is none. */
async function checkpoint(query = ''): Promise<number | string> {
  const { status, bytes } = await get(`/checkpoint${query}`);
  return status === 200 ? parseCheckpoint(parseNote(bytes.toString()).text).size : `${status}`;
}

/** How many sessions of the service have read from the replica. */
async function readsOfReplica(): Promise<boolean> {
  const { rows } = await replica.ask(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'antequem replica'`);
  return rows.length > 0;
}

const replayed = async (size: number): Promise<boolean> => {
  const { rows } = await replica.ask(`SELECT 1 FROM checkpoints WHERE size >= ${size}`);
  return rows.length > 0;
};

describe.skipIf(debianPostgresMissing !== null)('a replica', () => {
  test('answers what it has, and never with less than was asked for', async () => {
    await append(300);
    expect(await checkpoint()).toBe(300);
    await expect.poll(() => replayed(300), { timeout: 60_000 }).toBe(true);
    const bundle = await get('/tile/entries/000');
    const tile = await get('/tile/0/001.p/44');
    expect([bundle.status, tile.status, tile.bytes.length]).toEqual([200, 200, 44 * 32]);
    expect(await readsOfReplica()).toBe(true);

    await replica.ask('SELECT pg_wal_replay_pause()');
    await append(300);
    expect(await checkpoint('?least=300')).toBe(300);
    // It lacks these: the primary has them.
    expect((await get('/tile/0/001.p/45')).status).toBe(404);
    expect(await checkpoint('?least=301')).toBe(600);
    expect((await get('/tile/0/001')).bytes.subarray(0, 44 * 32)).toEqual(tile.bytes);
    expect((await get('/tile/entries/001')).status).toBe(200);
    // This process has shown 600: nothing older is shown, however little is asked for.
    expect(await checkpoint('?least=1')).toBe(600);
    expect(await checkpoint('?least=601')).toBe('404');
    await replica.ask('SELECT pg_wal_replay_resume()');
    await expect.poll(() => replayed(600), { timeout: 60_000 }).toBe(true);
  });

  test('answers while the primary is away', async () => {
    await primary.stop('immediate');
    expect(await checkpoint()).toBe(600);
    expect(await checkpoint('?least=600')).toBe(600);
    expect((await get('/tile/0/002.p/88')).bytes.length).toBe(88 * 32);
    expect((await get('/tile/entries/002.p/88')).status).toBe(200);
    expect(await checkpoint('?least=601')).toBe('503');
    await primary.start();
  });

  test('that follows no primary any more is not asked', async () => {
    await replica.promote();
    await append(1);
    expect(await checkpoint('?least=1')).toBe(601);
    await replica.stop('immediate');
    expect((await get('/tile/0/002.p/89')).bytes.length).toBe(89 * 32);
    expect(await checkpoint('?least=601')).toBe(601);
  });
});
