import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ACCOUNT, type DebianPostgres, freePort } from './debian-postgres.ts';
import { killServer } from './kill-server.ts';

const found = spawnSync('pgbouncer', ['--version']).status === 0;

/** Null where PgBouncer can run, else why its tests are left out. In CI nothing is left out. */
export const pgbouncerMissing: string | null =
  found || process.env.CI === 'true' ? null : 'pgbouncer is not installed (apt-get install pgbouncer)';

export interface PgBouncer {
  readonly url: string;
  stop(): Promise<void>;
}

/** A PgBouncer before all databases of a server; as installed it refuses the startup parameters that it does not know. */
export async function pgbouncer(
  server: DebianPostgres,
  mode: 'session' | 'transaction' | 'statement',
  settings: readonly string[] = [],
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'antequem-bouncer-'));
  const port = await freePort();
  const file = join(folder, 'ini');
  writeFileSync(
    file,
    [
      '[databases]',
      `* = host=127.0.0.1 port=${server.port} user=antequem`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = any',
      'default_pool_size = 50',
      `pool_mode = ${mode}`,
      ...settings,
      '',
    ].join('\n'),
  );
  if (ACCOUNT !== null) chownSync(folder, ACCOUNT.uid, ACCOUNT.gid);
  const child = spawn('pgbouncer', ['-q', file], { stdio: 'ignore', ...(ACCOUNT ?? {}) });
  const url = `postgres://antequem@127.0.0.1:${port}/`;
  await reachable(`${url}postgres`);
  return { url, stop: () => stop(child, folder) };
}

async function reachable(url: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.end();
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(50);
    }
  }
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  await killServer(child);
  rmSync(folder, { recursive: true, force: true });
}
