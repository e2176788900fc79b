import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { SENDER_KEY } from '../support/anchoring.ts';
import { ORIGIN } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';
import { startServiceChild } from '../support/service-child.ts';

const rounds = z.object({ rounds: z.array(z.unknown()) });

const TARGETS = 12;
const APPENDS = 200;
const CLIENTS = 4;

let folder: string;
let databaseUrl: string;
let drop: () => Promise<void>;
let port: number;
const sockets = new Set<Socket>();
// Takes connections and requests, and never answers.
const hanging = createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => {}).resume();
});
beforeAll(async () => {
  [folder, { url: databaseUrl, drop }] = await Promise.all([mkdtemp(join(tmpdir(), 'antequem-hang-')), testDatabase()]);
  hanging.listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  const address = hanging.address();
  port = typeof address === 'object' ? (address?.port ?? 0) : 0;
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  hanging.close();
  await drop();
  await rm(folder, { recursive: true, force: true });
});

test('nodes that never answer keep the API from nothing: it listens, appends are answered, the process ends', async () => {
  const targets = Array.from({ length: TARGETS }, (_, i) => ({
    name: `hang-${i}`,
    chainId: 1_000 + i,
    rpcUrls: [`http://127.0.0.1:${port}/${i}`],
    mode: 'anchor',
    key: { file: 'key' },
    maxFeeGwei: 1,
    dailyBudget: '1',
    replaceAfter: '3m',
    lowBalance: '0.1',
  }));
  await Promise.all([
    writeFile(join(folder, 'targets.json'), JSON.stringify(targets)),
    writeFile(join(folder, 'key'), SENDER_KEY),
    writeFile(join(folder, 'seed'), '07'.repeat(32)),
  ]);
  const begun = performance.now();
  const service = await startServiceChild({
    DATABASE_URL: databaseUrl,
    // Fewer than there are targets: none of them is held while a node is asked.
    DATABASE_CONNECTIONS: '4',
    ORIGIN,
    LOG_SEED_FILE: join(folder, 'seed'),
    LOG_GUARD_FILE: join(folder, 'published'),
    TARGETS_FILE: join(folder, 'targets.json'),
    PORT: '0',
    ROUND_INTERVAL: '200ms',
    LOG_LEVEL: 'silent',
  });
  const listening = performance.now() - begun;
  try {
    const append = async (body: string): Promise<number> => {
      const start = performance.now();
      const response = await fetch(`${service.url}/v1/logs/demo/entries`, { method: 'POST', body });
      expect(response.status, await response.text()).toBe(201);
      return performance.now() - start;
    };
    expect((await fetch(`${service.url}/v1/logs/demo`, { method: 'PUT' })).ok).toBe(true);
    await append('the first');
    // Rounds wait for what the nodes say, for a while; then all targets have work that hangs.
    await expect
      .poll(async () => rounds.parse(await (await fetch(`${service.url}/v1/rounds`)).json()).rounds.length, {
        timeout: 120_000,
      })
      .toBeGreaterThan(0);
    const times: number[] = [];
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < APPENDS) times.push(await append(`entry ${next++}`));
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    times.sort((a, b) => a - b);
    const p99 = times[Math.floor(0.99 * times.length)] ?? 0;
    const ready = await fetch(`${service.url}/readyz`);
    expect(ready.status).toBe(200);
    const stopping = performance.now();
    await service.stop();
    console.log(
      `${TARGETS} targets that hang: listens after ${listening.toFixed(0)} ms, ${times.length} appends p99 ${p99.toFixed(1)} ms, ` +
        `ended after ${((performance.now() - stopping) / 1_000).toFixed(1)} s`,
    );
  } finally {
    await service.kill();
  }
}, 60_000);
