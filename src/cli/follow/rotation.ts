// Finds the rotated files of a log file and the order in which they were written.

import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../core/errors.ts';

export interface FoundFile {
  readonly path: string;
  readonly dev: string;
  readonly ino: string;
  readonly size: number;
  /** Nanoseconds. */
  readonly mtime: bigint;
}

export interface Folder {
  /** The file that has the followed name now; null if there is none. */
  readonly live: FoundFile | null;
  /** Its rotated files, oldest first. */
  readonly rotated: readonly FoundFile[];
  /** All other regular files, because a rotation may use any name. */
  readonly others: readonly FoundFile[];
}

const SETTLES = 20;
const BETWEEN = 10;

export function isSameFile(a: Pick<FoundFile, 'dev' | 'ino'>, b: Pick<FoundFile, 'dev' | 'ino'>): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/** Lists the folder of `path`. A listing during a rotation could miss a file, so two in a row must agree. */
export async function lookAround(path: string): Promise<Folder> {
  let before = sorted(path, await list(path));
  for (let attempt = 0; attempt < SETTLES; attempt++) {
    await sleep(BETWEEN);
    const now = sorted(path, await list(path));
    if (siblingNames(before) === siblingNames(now)) return now;
    before = now;
  }
  return before;
}

/** The regular file of this name, or null. */
export async function findFile(path: string): Promise<FoundFile | null> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isFile() ? foundFile(path, found) : null;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

export function foundFile(path: string, found: BigIntStats): FoundFile {
  const { dev, ino, size, mtimeNs } = found;
  return { path, dev: String(dev), ino: String(ino), size: Number(size), mtime: mtimeNs };
}

/**
 * The part that a rotation of `base` added to a name (`1`, `20260131`, `2026-01-31T00:00`), or null if the file is not a
 * rotated one. Compressed files do not count.
 */
export function rotationMark(base: string, name: string): string | null {
  const mark = String.raw`[._-](\d[\d.:_TZ-]*)`;
  const extension = extname(base);
  const stem = base.slice(0, base.length - extension.length);
  const forms = [`^${escaped(base)}${mark}$`, `^${escaped(stem)}${mark}${escaped(extension)}$`];
  for (const form of forms) {
    const found = new RegExp(form).exec(name);
    if (found?.[1] !== undefined) return found[1];
  }
  return null;
}

async function list(path: string): Promise<FoundFile[]> {
  const folder = dirname(path);
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink());
  const found = await Promise.all(files.map(({ name }) => findFile(join(folder, name)).catch(() => null)));
  return found.filter((file) => file !== null);
}

/** If two listings have equal names, no rotation happened between them. */
export function siblingNames({ live, rotated }: Folder): string {
  const files = live === null ? rotated : [...rotated, live];
  return files
    .map(({ path, dev, ino }) => `${dev} ${ino} ${path}`)
    .sort()
    .join('\n');
}

function sorted(path: string, files: readonly FoundFile[]): Folder {
  const base = basename(path);
  const rotated: { file: FoundFile; mark: string }[] = [];
  const others: FoundFile[] = [];
  let live: FoundFile | null = null;
  for (const file of files) {
    const name = basename(file.path);
    const mark = rotationMark(base, name);
    if (name === base) live = file;
    else if (mark !== null) rotated.push({ file, mark });
    else others.push(file);
  }
  // FILE.1 is younger than FILE.2. Other suffixes are ordered by the time of the last write.
  const numbered = rotated.every(({ mark }) => /^\d{1,5}$/.test(mark));
  rotated.sort((a, b) => (numbered ? Number(b.mark) - Number(a.mark) : byTime(a.file, b.file)));
  return { live, rotated: rotated.map(({ file }) => file), others };
}

function byTime(a: FoundFile, b: FoundFile): number {
  if (a.mtime !== b.mtime) return a.mtime < b.mtime ? -1 : 1;
  return a.path < b.path ? -1 : 1;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&');
}
