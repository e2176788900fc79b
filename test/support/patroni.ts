// Three PostgreSQL servers that Patroni keeps, one of them the primary, behind HAProxy, as Debian packages all of them.

import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { z } from 'zod';
import { ACCOUNT, freePort } from './debian-postgres.ts';

const NODES = 3;
const PATIENCE = { timeout: 120_000, interval: 200 };
const PROGRAMS = ['/usr/bin/patroni', '/usr/bin/etcd', '/usr/sbin/haproxy', '/usr/lib/postgresql/15/bin/postgres'];

/** Null where all of it is installed, else what is missing. */
export const patroniMissing: string | null = PROGRAMS.every((program) => existsSync(program))
  ? null
  : 'Patroni is not installed (apt-get install postgresql-15 patroni haproxy etcd-server)';

interface Node {
  readonly name: string;
  readonly postgresPort: number;
  readonly restPort: number;
  readonly folder: string;
}

const clusterForm = z.object({
  members: z.array(z.object({ name: z.string(), role: z.string(), state: z.string() })),
});

export class PatroniCluster {
  readonly folder: string;
  /** Of whichever server is the primary. */
  readonly url: string;
  readonly #nodes: readonly Node[];
  readonly #children = new Map<string, ChildProcess>();

  private constructor(folder: string, url: string, nodes: readonly Node[]) {
    this.folder = folder;
    this.url = url;
    this.#nodes = nodes;
  }

  /** With a primary, a synchronous standby and another. */
  static async open(): Promise<PatroniCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'antequem-patroni-'));
    own(folder);
    const [etcd, peers, proxy] = [await freePort(), await freePort(), await freePort()];
    const nodes: Node[] = [];
    for (let i = 0; i < NODES; i++) {
      const node = {
        name: `n${i}`,
        postgresPort: await freePort(),
        restPort: await freePort(),
        folder: join(folder, `n${i}`),
      };
      mkdirSync(node.folder);
      own(node.folder);
      writeFileSync(join(folder, `${node.name}.yml`), configurationOf(node, etcd));
      nodes.push(node);
    }
    writeFileSync(join(folder, 'haproxy.cfg'), proxyConfiguration(proxy, nodes));
    const cluster = new PatroniCluster(folder, `postgres://antequem:secret@127.0.0.1:${proxy}/postgres`, nodes);
    const [clients, others] = [`http://127.0.0.1:${etcd}`, `http://127.0.0.1:${peers}`];
    cluster.#start('etcd', '/usr/bin/etcd', [
      ...['--data-dir', join(folder, 'etcd'), '--listen-client-urls', clients, '--advertise-client-urls', clients],
      ...['--listen-peer-urls', others, '--initial-advertise-peer-urls', others],
      ...['--initial-cluster', `default=${others}`],
    ]);
    for (const { name } of nodes) cluster.startNode(name);
    cluster.#start('haproxy', '/usr/sbin/haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
    await cluster.whole();
    return cluster;
  }

  startNode(name: string): void {
    this.#start(name, '/usr/bin/patroni', [join(this.folder, `${name}.yml`)]);
  }

  /** The name of the primary; null: there is none at the moment. */
  async primary(): Promise<string | null> {
    const members = await this.#members();
    return members.find(({ role, state }) => role === 'leader' && state === 'running')?.name ?? null;
  }

  /** Waits until there are a primary, a synchronous standby and another that follows. */
  async whole(): Promise<void> {
    const running = async (): Promise<string[]> =>
      (await this.#members())
        .filter(({ state }) => state === 'running' || state === 'streaming')
        .map(({ role }) => role)
        .sort();
    await expect.poll(running, PATIENCE).toEqual(['leader', 'replica', 'sync_standby']);
  }

  /** Ends Patroni and PostgreSQL of a node as a loss of power does. */
  kill(name: string): void {
    const node = this.#nodes.find((each) => each.name === name);
    this.#kill(name);
    const file = join(node?.folder ?? '', 'data', 'postmaster.pid');
    if (existsSync(file)) end(Number(readFileSync(file, 'utf8').split('\n')[0]));
  }

  close(): void {
    for (const { name } of this.#nodes) this.kill(name);
    for (const name of [...this.#children.keys()]) this.#kill(name);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20 });
  }

  async #members(): Promise<z.infer<typeof clusterForm>['members']> {
    for (const { restPort } of this.#nodes) {
      try {
        const answer = await fetch(`http://127.0.0.1:${restPort}/cluster`, { signal: AbortSignal.timeout(2_000) });
        return clusterForm.parse(await answer.json()).members;
      } catch {
        // The next one may know.
      }
    }
    return [];
  }

  #start(name: string, program: string, args: readonly string[]): void {
    const log = join(this.folder, `${name}.log`);
    const script = 'log=$1; shift; exec "$@" >>"$log" 2>&1';
    const child = spawn('sh', ['-c', script, 'sh', log, program, ...args], {
      cwd: this.folder,
      stdio: 'ignore',
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
      ...(ACCOUNT ?? {}),
    });
    this.#children.set(name, child);
  }

  #kill(name: string): void {
    this.#children.get(name)?.kill('SIGKILL');
    this.#children.delete(name);
  }
}

function own(folder: string): void {
  if (ACCOUNT !== null) chownSync(folder, ACCOUNT.uid, ACCOUNT.gid);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/** JSON is YAML. */
function configurationOf({ name, postgresPort, restPort, folder }: Node, etcd: number): string {
  const rest = `127.0.0.1:${restPort}`;
  return JSON.stringify({
    scope: 'antequem',
    name,
    restapi: { listen: rest, connect_address: rest },
    etcd3: { host: `127.0.0.1:${etcd}` },
    bootstrap: {
      dcs: {
        ttl: 20,
        loop_wait: 1,
        retry_timeout: 3,
        master_start_timeout: 0,
        synchronous_mode: true,
        postgresql: {
          use_pg_rewind: true,
          parameters: { max_connections: 200, shared_buffers: '64MB', wal_keep_size: '256MB', jit: 'off' },
        },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }],
    },
    postgresql: {
      listen: `127.0.0.1:${postgresPort}`,
      connect_address: `127.0.0.1:${postgresPort}`,
      data_dir: join(folder, 'data'),
      bin_dir: '/usr/lib/postgresql/15/bin',
      pg_hba: ['host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust'],
      authentication: {
        superuser: { username: 'antequem', password: 'secret' },
        replication: { username: 'replicator', password: 'secret' },
      },
      parameters: { unix_socket_directories: folder },
    },
  });
}

function proxyConfiguration(port: number, nodes: readonly Node[]): string {
  const servers = nodes.map(
    ({ name, postgresPort, restPort }) =>
      `  server ${name} 127.0.0.1:${postgresPort} check port ${restPort} inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions`,
  );
  return [
    'defaults',
    '  mode tcp',
    '  timeout connect 2s',
    '  timeout client 30m',
    '  timeout server 30m',
    '  timeout check 2s',
    'listen primary',
    `  bind 127.0.0.1:${port}`,
    '  option httpchk OPTIONS /primary',
    '  http-check expect status 200',
    ...servers,
    '',
  ].join('\n');
}
