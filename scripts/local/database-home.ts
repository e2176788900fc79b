import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { AntequemError } from '../../src/core/errors.ts';

/** Whom the server runs as; null in `runAs` means as this process. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Where the database of a data folder lies and who may open it. */
export interface DatabaseHome {
  /** Folder above the server's data. */
  readonly folder: string;
  /** The server's data; missing until it is initialised. */
  readonly data: string;
  readonly binariesFolder: string;
  readonly runAs: Account | null;
  /** The operating system's name of the one who may connect: this process's user. */
  readonly client: string;
}

const Pointer = z.object({ folder: z.string() });
const Owner = z.object({ dataDir: z.string() });

const pointerOf = (dataDir: string): string => join(dataDir, 'postgres.json');

function readPointer(dataDir: string): string | null {
  try {
    return Pointer.parse(JSON.parse(readFileSync(pointerOf(dataDir), 'utf8'))).folder;
  } catch {
    return null;
  }
}

function clientName(uid: number): string {
  try {
    return userInfo().username;
  } catch (cause) {
    throw new AntequemError(
      'no-passwd-entry',
      `user id ${uid} has no name on this machine (no passwd entry), and PostgreSQL does not run for such a user. ` +
        'Set DATABASE_URL to a PostgreSQL of yours, or start as a named user.',
      { cause },
    );
  }
}

function numericId(option: '-u' | '-g', name: string): number | null {
  const { status, stdout } = spawnSync('id', [option, name], { encoding: 'utf8' });
  return status === 0 && /^\d+\n?$/.test(stdout) ? Number(stdout) : null;
}

/** An unprivileged account that exists already: none is ever created. */
function unprivilegedAccount(): Account {
  for (const name of ['postgres', '_postgres', 'nobody', 'daemon']) {
    const [uid, gid] = [numericId('-u', name), numericId('-g', name)];
    if (uid !== null && gid !== null && uid > 0 && gid > 0) return { uid, gid };
  }
  throw new AntequemError(
    'no-account',
    'PostgreSQL refuses to run as root, and none of the accounts postgres, nobody and daemon exists to run it as. ' +
      'Start as an ordinary user, or set DATABASE_URL to a PostgreSQL of yours.',
  );
}

function makeFolder(path: string, mode: number): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
}

/** A moved project keeps its database; a copied one must not share that of the original. */
function adoptFolder(folder: string, dataDir: string): void {
  const ownerFile = join(folder, 'owner.json');
  const owner = existsSync(ownerFile) ? Owner.parse(JSON.parse(readFileSync(ownerFile, 'utf8'))).dataDir : dataDir;
  if (owner !== dataDir && readPointer(owner) === folder) {
    throw new AntequemError(
      'database-of-another',
      `${pointerOf(dataDir)} names the database of ${owner}: it looks like a copy. Remove ${dataDir} to begin anew here.`,
    );
  }
  const temporary = `${ownerFile}.new`;
  writeFileSync(temporary, JSON.stringify({ dataDir }));
  renameSync(temporary, ownerFile);
}

/**
 * Root's database lies apart, run by an account without rights: the server refuses root, and the account cannot pass
 * the 0700 home the project may be in. A pointer in the data folder tells where; without it the database is new, as it
 * is for an ordinary user who removed the data folder.
 */
function homeOfRoot(dataDir: string, systemFolder: string): DatabaseHome {
  if (existsSync(join(dataDir, 'postgres'))) {
    const owner = statSync(join(dataDir, 'postgres')).uid;
    throw new AntequemError(
      'database-owner',
      `${join(dataDir, 'postgres')} was made by user id ${owner}, not by root. Start as that user, or set DATA_DIR.`,
    );
  }
  const databases = join(systemFolder, 'data');
  let folder = readPointer(dataDir);
  if (folder === null) {
    folder = join(databases, `${basename(dirname(dataDir)).replace(/[^\w-]/g, '_')}-${randomBytes(8).toString('hex')}`);
  } else if (dirname(folder) !== databases || !existsSync(folder)) {
    throw new AntequemError(
      'database-gone',
      `${pointerOf(dataDir)} says that the database lies in ${folder}, which is not there. ` +
        `Bring it back, or remove ${dataDir} to begin anew.`,
    );
  }
  try {
    makeFolder(systemFolder, 0o755);
    makeFolder(databases, 0o711);
    makeFolder(folder, 0o711);
  } catch (cause) {
    throw new AntequemError(
      'database-folder',
      `could not make ${folder} (${cause instanceof Error ? cause.message : cause}). ` +
        'Start as an ordinary user, or set DATABASE_URL to a PostgreSQL of yours.',
      { cause },
    );
  }
  adoptFolder(folder, dataDir);
  const temporary = `${pointerOf(dataDir)}.new`;
  writeFileSync(temporary, `${JSON.stringify({ folder })}\n`, { mode: 0o600 });
  renameSync(temporary, pointerOf(dataDir));
  const data = join(folder, 'postgres');
  const made = statSync(data, { throwIfNoEntry: false });
  const runAs = made === undefined ? unprivilegedAccount() : { uid: made.uid, gid: made.gid };
  return { folder, data, binariesFolder: join(systemFolder, 'binaries'), runAs, client: clientName(0) };
}

function homeOfUser(dataDir: string, uid: number): DatabaseHome {
  const client = clientName(uid);
  const data = join(dataDir, 'postgres');
  const made = statSync(data, { throwIfNoEntry: false });
  if (made === undefined && existsSync(pointerOf(dataDir))) {
    throw new AntequemError(
      'database-owner',
      `the database of ${dataDir} was made by root. Start as root, or set DATA_DIR to another folder.`,
    );
  }
  if (made !== undefined && made.uid !== uid) {
    throw new AntequemError(
      'database-owner',
      `${data} belongs to user id ${made.uid}, this is user id ${uid}. Start as that user, or set DATA_DIR.`,
    );
  }
  return { folder: dataDir, data, binariesFolder: join(dataDir, 'postgres-binaries'), runAs: null, client };
}

/**
 * @param dataDir must exist and be held by this process
 * @throws AntequemError that says what stands in the way and what to do
 */
export function databaseHome(dataDir: string, systemFolder: string): DatabaseHome {
  const uid = process.getuid?.();
  if (uid === undefined) {
    throw new AntequemError(
      'no-local-postgres',
      'on Windows there is no PostgreSQL of our own: set DATABASE_URL to one of yours.',
    );
  }
  const real = realpathSync(dataDir);
  const home = uid === 0 ? homeOfRoot(real, systemFolder) : homeOfUser(real, uid);
  for (const name of readdirSync(home.folder)) {
    if (name.startsWith('initializing-')) rmSync(join(home.folder, name), { recursive: true, force: true });
  }
  return home;
}

/** A new folder of mode 0700 in which the server's account may work. */
export function makePrivateFolder(path: string, account: Account | null): void {
  mkdirSync(path, { mode: 0o700 });
  chmodSync(path, 0o700);
  if (account !== null) chownSync(path, account.uid, account.gid);
}
