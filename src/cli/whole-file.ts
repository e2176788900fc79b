import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AntequemError } from '../core/errors.ts';
import { reason } from './failure.ts';

/**
 * Writes a file so that a crash leaves it whole, old or new, and what is told as written stays so.
 * @param mode of a file that is made; default: what the process makes files with
 * @throws AntequemError `file-exists` unless `replace`, `file-unwritable`
 */
export async function writeWhole(
  file: string,
  content: string | Uint8Array,
  replace: boolean,
  mode?: number,
): Promise<void> {
  // Not by the process's number, which in a container is always 1.
  const draft = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const handle = await open(draft, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (replace) await rename(draft, file);
    else await link(draft, file);
    await syncFolder(dirname(file));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') throw fileExists(file);
    throw new AntequemError('file-unwritable', `cannot write ${file}: ${reason(cause)}`, { cause });
  } finally {
    await rm(draft, { force: true });
  }
}

export function fileExists(file: string): AntequemError {
  return new AntequemError('file-exists', `${file} exists already; move it away, or replace it with --force`);
}

/** The file's new name is durable once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } catch {
    // Some file systems cannot; the rename stands all the same.
  } finally {
    await handle.close();
  }
}
