import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { AntequemError } from '../../src/core/errors.ts';
import { type DatabaseHome, databaseHome, makePrivateFolder } from './database-home.ts';
import { type Keeper, plainEnvironment, startKeeper } from './keeper.ts';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import { noteSocketFolder, readPostmaster, stopPostmaster } from './postmaster.ts';

export interface PostgresOptions {
  /** Absolute; this process must be the only one to use it (`holdData`). */
  readonly dataDir: string;
  /** Server settings over the defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Remove data folder and database at the end, even if this process is killed. */
  readonly disposable?: boolean;
  /** Where the database of root lies. */
  readonly systemFolder?: string;
  /** Gives up waiting for the server; what was started is stopped. */
  readonly signal?: AbortSignal;
}

export interface RunningPostgres {
  /** postgres:// over the Unix socket, for the superuser `antequem` and the database of the same name. */
  readonly url: string;
  readonly socketDir: string;
  readonly pid: number;
  readonly keeperPid: number | undefined;
  readonly logFile: string;
  /** Settles when the server or its keeper has ended, asked to or not. */
  readonly ended: Promise<void>;
  /** Ends all connections and the server. Safe to call again, and after the server was killed. */
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

/** @returns the server's process id, or null when it has ended instead. */
async function whenReady(home: DatabaseHome, socketDir: string, keeper: Keeper, signal: AbortSignal | undefined) {
  let over = false;
  void keeper.ended.then(() => {
    over = true;
  });
  // Replaying the log after a kill may take its time; as long as the server lives it is waited for.
  while (!over) {
    signal?.throwIfAborted();
    const postmaster = readPostmaster(home.data);
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
 * What an earlier start left behind is stopped first. A keeper process stops it when this process ends, however it ends.
 * @throws AntequemError whose message says what stands in the way and what to do
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { dataDir, signal } = options;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const home = databaseHome(dataDir, options.systemFolder ?? '/var/lib/antequem');
  const binaries = postgresBinaries(home.binariesFolder, home.runAs !== null);
  if (dataVersion(home) === null) await initialise(home, binaries);
  const version = dataVersion(home);
  if (version !== binaries.majorVersion) {
    throw new AntequemError(
      'postgres-version',
      `${home.data} was made by PostgreSQL ${version}, the one installed is ${binaries.majorVersion}. ` +
        'Install the antequem it was made with, or set DATA_DIR to another folder.',
    );
  }
  const settings = { ...SETTINGS, ...options.settings };
  const logFile = join(dataDir, 'postgres.log');
  const removeOptional = options.disposable === true ? [home.folder, dataDir] : [];
  const deadline = Date.now() + 15_000;

  for (;;) {
    signal?.throwIfAborted();
    await stopPostmaster(home.data);
    const socketDir = makeSocketFolder(home);
    noteSocketFolder(home.data, socketDir);
    const removeAtEnd = [socketDir, ...removeOptional];
    const own = {
      unix_socket_directories: socketDir,
      unix_socket_permissions: '0700',
      hba_file: join(socketDir, 'hba.conf'),
      ident_file: join(socketDir, 'ident.conf'),
    };
    const args = Object.entries({ ...settings, ...own }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const keeper = startKeeper(
      {
        command: binaries.postgres,
        args: ['-D', home.data, ...args],
        runAs: home.runAs,
        removeAtEnd,
      },
      logFile,
    );
    const stop = async (): Promise<void> => {
      keeper.release();
      const stuck = setTimeout(() => keeper.kill(), 8_000);
      await keeper.ended;
      clearTimeout(stuck);
      // Of no effect unless the keeper was killed.
      await stopPostmaster(home.data);
      for (const folder of removeAtEnd) rmSync(folder, { recursive: true, force: true });
    };
    try {
      const pid = await whenReady(home, socketDir, keeper, signal);
      if (pid !== null) {
        const url = (database: string) => `postgres://${NAME}@/${database}?host=${encodeURIComponent(socketDir)}`;
        await makeDatabase(url);
        return { url: url(NAME), socketDir, pid, keeperPid: keeper.pid, logFile, ended: keeper.ended, stop };
      }
    } catch (error) {
      await stop();
      throw error;
    }
    const story = logTail(logFile);
    // Backends of a server that was killed go a moment after it.
    const passing = /pre-existing shared memory block|lock file "postmaster.pid" already exists/.test(story);
    if (!passing || Date.now() > deadline) {
      throw new AntequemError(
        'postgres-start',
        `PostgreSQL did not start; ${basename(logFile)} in ${dataDir} ends:\n${story}`,
      );
    }
    await sleep(200);
  }
}
