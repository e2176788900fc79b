import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { killServer } from './kill-server.ts';

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** A command, as an operator types it. */
  call(command: string, ...values: string[]): Promise<unknown>;
  flush(): Promise<void>;
  /** Ends the server; what it held is gone. */
  down(): Promise<void>;
  /** Starts it again, empty, at the same port. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

const found = spawnSync('redis-server', ['--version']).status === 0;

/** Null where tests on Redis can run, else why they are left out. In CI nothing is left out. */
export const redisMissing: string | null =
  found || process.env.CI === 'true' ? null : 'redis-server is not installed (apt-get install redis-server)';

if (redisMissing !== null) console.warn(`Tests on Redis are skipped: ${redisMissing}`);

/**
 * A Redis of its own on loopback, without persistence.
 * @param options further arguments of redis-server
 */
export async function testRedis(options: readonly string[] = []): Promise<TestRedis> {
  if (!found) throw new Error('redis-server is not installed: apt-get install redis-server');
  const folder = mkdtempSync(join(tmpdir(), 'antequem-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let server: ChildProcess | null = null;
  const up = async (): Promise<void> => {
    const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    server = spawn('redis-server', ['--port', String(port), ...settings, ...options], { stdio: 'ignore' });
    await ask(url, (client) => client.ping());
  };
  const down = (): Promise<void> => killServer(server);
  await up();
  return {
    url,
    port,
    call: (command, ...values) => ask(url, (client) => client.call(command, ...values)),
    flush: async () => void (await ask(url, (client) => client.flushall())),
    down,
    up,
    stop: async () => {
      await down();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ask(url: string, question: (client: Redis) => Promise<unknown>): Promise<unknown> {
  const client = new Redis(url, { maxRetriesPerRequest: 100, retryStrategy: () => 50 });
  client.on('error', () => {});
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
