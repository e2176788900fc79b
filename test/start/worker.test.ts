// `antequem serve --roles worker` as a process manager sees it: its port, and what it tells systemd.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { start } from '../cli/command.ts';
import { ORIGIN } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const TOKEN = 'a-token-that-opens-metrics';
const PATIENCE = { timeout: 120_000 };
const RECEIVER = fileURLToPath(new URL('notify-socket.py', import.meta.url));
const found = spawnSync('systemd-notify', ['--version']).status === 0;
// In CI a missing systemd-notify fails the test.
const noSystemd = !found && process.env.CI !== 'true';

let database: TestDatabase;
let folder: string;
let url: string;
let service: ChildProcess;
let receiver: ChildProcess;
let told = '';

beforeAll(async () => {
  [database, folder] = await Promise.all([testDatabase(), mkdtemp(join(tmpdir(), 'antequem-worker-'))]);
  const [seed, token, socket] = [join(folder, 'seed'), join(folder, 'token'), join(folder, 'notify')];
  await Promise.all([writeFile(seed, '07'.repeat(32)), writeFile(token, TOKEN)]);
  receiver = spawn('python3', [RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  receiver.stdout?.on('data', (text: Buffer) => {
    told += text;
  });
  await vi.waitFor(() => expect(told).toContain('listening'), PATIENCE);
  service = start(['serve', '--roles', 'worker'], {
    env: {
      DATABASE_URL: database.url,
      ORIGIN,
      LOG_SEED_FILE: seed,
      METRICS_TOKEN_FILE: token,
      HEALTH_PORT: '0',
      NOTIFY_SOCKET: socket,
    },
  });
  let log = '';
  service.stdout?.on('data', (text: Buffer) => {
    log += text;
  });
  await vi.waitFor(() => expect(log).toContain('"started"'), PATIENCE);
  const line = log.split('\n').find((each) => each.includes('"started"')) ?? '';
  ({ healthUrl: url } = z.object({ url: z.null(), healthUrl: z.string() }).parse(JSON.parse(line)));
});
afterAll(async () => {
  service.kill('SIGKILL');
  receiver.kill('SIGKILL');
  await rm(folder, { recursive: true });
  await database.drop();
});

test('a worker answers probes and scrapes at its port, and nothing else', async () => {
  const ask = async (path: string, token?: string): Promise<[number, string]> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await fetch(`${url}${path}`, { headers });
    return [answer.status, await answer.text()];
  };
  expect(await ask('/healthz')).toEqual([200, '{"status":"ok"}']);
  expect(await ask('/readyz')).toEqual([200, expect.stringContaining('"database":"ok"')]);
  expect(await ask('/metrics')).toEqual([401, expect.stringContaining('unauthorized')]);
  expect(await ask('/metrics', `${TOKEN}x`)).toEqual([401, expect.stringContaining('unauthorized')]);
  expect(await ask('/metrics', TOKEN)).toEqual([200, expect.stringContaining('antequem_database_up 1')]);
  for (const path of ['/v1/logs', '/', '/logs/_system/checkpoint']) {
    expect(await ask(path, TOKEN)).toEqual([404, expect.stringContaining('not-found')]);
  }
  expect((await fetch(`${url}/healthz`, { method: 'POST' })).status).toBe(405);
});

test.skipIf(noSystemd)('it tells systemd that it is ready, and that it stops', async () => {
  await expect.poll(() => told).toContain('READY=1');
  expect(told).not.toContain('STOPPING=1');
  const ended = once(service, 'exit');
  service.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  await expect.poll(() => told).toContain('STOPPING=1');
});
