// PostgreSQL as Debian packages it: another version than the embedded one, with the tools that make replicas.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const folderOf = (version: string): string => `/usr/lib/postgresql/${version}/bin`;

/** Null where Debian's PostgreSQL 15 can run, else why its tests are left out. In CI nothing is left out. */
export const debianPostgresMissing: string | null =
  existsSync(join(folderOf('15'), 'postgres')) || process.env.CI === 'true'
    ? null
    : 'PostgreSQL 15 is not installed (apt-get install postgresql-15)';

export interface DebianPostgresOptions {
  /** Default `15`. */
  readonly version?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** Made as a replica that follows this one. */
  readonly primary?: DebianPostgres;
  /** Arguments of initdb in place of UTF-8. */
  readonly encoding?: string;
}

/** A server on a free port of loopback whose superuser is `antequem`, without a password. */
export class DebianPostgres {
  readonly port: number;
  readonly folder: string;
  readonly #bin: string;
  readonly #settings: Readonly<Record<string, string>>;
  #child: ChildProcess | null = null;

  private constructor(folder: string, port: number, bin: string, settings: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.port = port;
    this.#bin = bin;
    this.#settings = settings;
  }

  static async open(options: DebianPostgresOptions = {}): Promise<DebianPostgres> {
    const folder = mkdtempSync(join(tmpdir(), 'antequem-debian-'));
    if (ACCOUNT !== null) chownSync(folder, ACCOUNT.uid, ACCOUNT.gid);
    const bin = folderOf(options.version ?? '15');
    const postgres = new DebianPostgres(folder, await freePort(), bin, options.settings ?? {});
    if (options.primary === undefined) {
      postgres.#run('initdb', '-U', 'antequem', '-A', 'trust', '-E', options.encoding ?? 'UTF8', '--locale=C', '-N');
    } else {
      postgres.#run('pg_basebackup', '-d', options.primary.url(), '-R', '-c', 'fast', '-X', 'stream');
    }
    await postgres.start();
    return postgres;
  }

  url(database = 'postgres', user = 'antequem'): string {
    return `postgres://${user}@127.0.0.1:${this.port}/${database}`;
  }

  async start(): Promise<void> {
    const settings = {
      port: String(this.port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.folder,
      shared_buffers: '64MB',
      max_connections: '200',
      jit: 'off',
      ...this.#settings,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    // The shell outlives neither: it ends the server when this process is gone, and ends with it. It keeps the pipe as 3,
    // since a shell without job control gives what it starts in the background /dev/null to read.
    const script =
      'exec 3<&0; "$@" 2>>log </dev/null 3<&- & server=$!; (cat <&3 >/dev/null; kill -INT $server) & wait $server; kill $!';
    this.#child = spawn('sh', ['-c', script, 'sh', join(this.#bin, 'postgres'), '-D', this.#data, ...args], {
      cwd: this.folder,
      stdio: ['pipe', 'ignore', 'ignore'],
      ...(ACCOUNT ?? {}),
    });
    for (let tries = 0; ; tries++) {
      try {
        await this.ask('SELECT 1');
        return;
      } catch (error) {
        if (tries === 900) throw new Error(`PostgreSQL did not start: ${this.log()}`, { cause: error });
        await sleep(50);
      }
    }
  }

  /** `fast` rolls back what is under way, `immediate` is a crash. */
  async stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    this.#run('pg_ctl', 'stop', '-m', how, '-W');
    await ended;
    this.#child = null;
  }

  /** Makes a primary of a replica. */
  async promote(): Promise<void> {
    await this.ask('SELECT pg_promote(true, 60)');
  }

  async ask(sql: string, database = 'postgres'): Promise<pg.QueryResult> {
    const client = new pg.Client({ connectionString: this.url(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.query(sql);
    } finally {
      await client.end();
    }
  }

  /** Adds a line to a file of its data folder. */
  configure(file: 'postgresql.conf' | 'pg_hba.conf', line: string): void {
    appendFileSync(join(this.#data, file), `${line}\n`);
  }

  log(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8').slice(-2_000);
  }

  async close(): Promise<void> {
    await this.stop('immediate');
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  #run(tool: string, ...args: readonly string[]): void {
    const { status, stderr } = spawnSync(join(this.#bin, tool), ['-D', this.#data, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
      ...(ACCOUNT ?? {}),
    });
    if (status !== 0) throw new Error(`${tool} failed: ${stderr}`);
  }
}

/** PostgreSQL does not run as root: the account it runs as then. */
export const ACCOUNT = ((): { uid: number; gid: number } | null => {
  if (process.getuid?.() !== 0) return null;
  const id = (option: string): number => Number(spawnSync('id', [option, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: id('-u'), gid: id('-g') };
})();

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
