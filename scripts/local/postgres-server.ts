import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { AntequemError } from '../../src/core/errors.ts';
import { type DatabaseHome, databaseHome, makePrivateFolder } from './database-home.ts';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import { readPostmaster, removeSocketFolder, STOP_SIGNALS, stopPostmaster } from './postmaster.ts';

export interface ServerOptions {
  /** Absolute; this process must be the only one to use it (`holdData`). */
  readonly dataDir: string;
  /** Server settings over the defaults. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Where the database of root lies. */
  readonly systemFolder?: string | undefined;
  /** Gives up waiting for the server; what was started is stopped. */
  readonly signal: AbortSignal;
}

/** A server that takes connections, as a child of this process. */
export interface PostgresServer {
  /** postgres:// over the Unix socket, for the superuser `antequem` and the database of the same name. */
  readonly url: string;
  readonly socketDir: string;
  readonly pid: number;
  /** The folder of its data, and the one above, which holds nothing else. */
  readonly data: string;
  readonly folder: string;
  readonly logFile: string;
  readonly ended: Promise<void>;
  /** Ends all connections and the server, within 7 s. */
  stop(): Promise<void>;
}

const NAME = 'antequem';

// For a machine of two cores that has other work to do. Durability is that of production.
const SETTINGS = {
  listen_addresses: '',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  min_wal_size: '256MB',
  wal_compression: 'on',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '200',
  checkpoint_timeout: '15min',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // A query whose client was killed ends too, else it would keep its backend, and that the folder.
  client_connection_check_interval: '1s',
};

/** A short path: with the socket's name it must stay below 104 bytes on some systems, 108 on others. */
function makeSocketFolder(home: DatabaseHome): string {
  const parents = home.runAs === null ? [tmpdir(), '/tmp', home.folder] : ['/tmp'];
  const parent = parents.find((path) => Buffer.byteLength(path) <= 70);
  if (parent === undefined) throw new AntequemError('no-short-folder', 'no temporary folder with a short path');
  const folder = mkdtempSync(join(parent, 'antequem-'));
  // Only the user who starts it may connect, as the system tells; written before the server's account owns the folder.
  const access = { 'hba.conf': 'local all all peer map=owner\n', 'ident.conf': `owner "${home.client}" ${NAME}\n` };
  for (const [name, text] of Object.entries(access)) {
    writeFileSync(join(folder, name), text);
    // Whatever the umask: another account is to read it.
    chmodSync(join(folder, name), 0o644);
  }
  if (home.runAs !== null) chownSync(folder, home.runAs.uid, home.runAs.gid);
  return folder;
}

async function initialise(home: DatabaseHome, binaries: PostgresBinaries): Promise<void> {
  const folder = join(home.folder, `initializing-${randomBytes(6).toString('hex')}`);
  makePrivateFolder(folder, home.runAs);
  const args = ['-D', folder, '-U', NAME, '--auth=peer', '--encoding=UTF8', '--locale=C'];
  const child = spawn(binaries.initdb, [...args, '--locale-provider=builtin', '--builtin-locale=C.UTF-8'], {
    cwd: '/',
    env: plainEnvironment(),
    // Ctrl-C in the middle of it would be an error to report; so it is done in half a second.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(home.runAs ?? {}),
  });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text));
  child.stderr.on('data', (text: Buffer) => (output += text));
  const failure = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => resolve(code === 0 ? null : `${output.trim()} (exit ${code})`));
  });
  if (failure !== null) {
    rmSync(folder, { recursive: true, force: true });
    throw new AntequemError(
      'postgres-init',
      `PostgreSQL could not make its data folder below ${home.folder}: ${failure}. ` +
        'Mend that, or set DATABASE_URL to a PostgreSQL of yours.',
    );
  }
  renameSync(folder, home.data);
}

function dataVersion(home: DatabaseHome): string | null {
  try {
    return readFileSync(join(home.data, 'PG_VERSION'), 'utf8').trim();
  } catch {
    return null;
  }
}

function logTail(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n');
  } catch {
    return '';
  }
}

/** What local servers need of the environment, and nothing that could steer them. */
function plainEnvironment(): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' };
}

// Linux can tell the server itself of the end of this process, which covers a KILL to every Node process at once.
const DEATH_SIGNAL = ['--pdeathsig', 'INT'];
const canTie = process.platform === 'linux' && spawnSync('setpriv', [...DEATH_SIGNAL, 'true']).status === 0;

/** In a session of its own, so that no signal to our process group reaches the server. */
function spawnServer(home: DatabaseHome, postgres: string, args: readonly string[], logFile: string): ChildProcess {
  const log = openSync(logFile, 'w', 0o600);
  const [command = postgres, ...before] = canTie ? ['setpriv', ...DEATH_SIGNAL, postgres] : [postgres];
  const child = spawn(command, [...before, ...args], {
    cwd: '/',
    env: plainEnvironment(),
    detached: true,
    stdio: ['ignore', log, log],
    ...(home.runAs ?? {}),
  });
  closeSync(log);
  return child;
}

/** @returns the server's process id, or null when it has ended instead. */
async function whenReady(data: string, socketDir: string, ended: Promise<void>, signal: AbortSignal) {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  // Replaying the log after a kill may take its time; as long as the server lives it is waited for.
  while (!over) {
    signal.throwIfAborted();
    const postmaster = readPostmaster(data);
    if (postmaster?.socketDir === socketDir && postmaster.ready) return postmaster.pid;
    await sleep(10);
  }
  return null;
}

async function makeDatabase(url: (database: string) => string): Promise<void> {
  const client = new pg.Client({ connectionString: url('postgres') });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [NAME]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${NAME}`);
  } finally {
    await client.end();
  }
}

/**
 * Starts the PostgreSQL that npm brought, on a Unix socket, with its data in (or, for root, named by) the data folder.
 * What an earlier start left behind is stopped first.
 * @throws AntequemError whose message says what stands in the way and what to do
 */
export async function openServer({ dataDir, settings, systemFolder, signal }: ServerOptions): Promise<PostgresServer> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const home = databaseHome(dataDir, systemFolder ?? '/var/lib/antequem');
  const { data, folder } = home;
  const binaries = postgresBinaries(home.binariesFolder, home.runAs !== null);
  if (dataVersion(home) === null) await initialise(home, binaries);
  const version = dataVersion(home);
  if (version !== binaries.majorVersion) {
    throw new AntequemError(
      'postgres-version',
      `${data} was made by PostgreSQL ${version}, the one installed is ${binaries.majorVersion}. ` +
        'Install the antequem it was made with, or set DATA_DIR to another folder.',
    );
  }
  const logFile = join(dataDir, 'postgres.log');
  const deadline = Date.now() + 15_000;

  for (;;) {
    signal.throwIfAborted();
    await stopPostmaster(data);
    const socketDir = makeSocketFolder(home);
    const own = {
      unix_socket_directories: socketDir,
      unix_socket_permissions: '0700',
      hba_file: join(socketDir, 'hba.conf'),
      ident_file: join(socketDir, 'ident.conf'),
    };
    const given = Object.entries({ ...SETTINGS, ...settings, ...own });
    const args = ['-D', data, ...given.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    const child = spawnServer(home, binaries.postgres, args, logFile);
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    const stop = async (): Promise<void> => {
      for (const [name, patience] of STOP_SIGNALS) {
        child.kill(name);
        if (await Promise.race([ended.then(() => true), sleep(patience, false)])) break;
      }
      await stopPostmaster(data);
      removeSocketFolder(socketDir);
    };
    try {
      const pid = await whenReady(data, socketDir, ended, signal);
      if (pid !== null) {
        const url = (database: string) => `postgres://${NAME}@/${database}?host=${encodeURIComponent(socketDir)}`;
        await makeDatabase(url);
        return { url: url(NAME), socketDir, pid, data, folder, logFile, ended, stop };
      }
    } catch (error) {
      await stop();
      throw error;
    }
    const story = logTail(logFile);
    // Backends of a server that was killed go a moment after it.
    const passing = /pre-existing shared memory block|lock file "postmaster.pid" already exists/.test(story);
    removeSocketFolder(socketDir);
    if (!passing || Date.now() > deadline) {
      throw new AntequemError(
        'postgres-start',
        `PostgreSQL did not start; ${basename(logFile)} in ${dataDir} ends:\n${story}`,
      );
    }
    await sleep(200);
  }
}
