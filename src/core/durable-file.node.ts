import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode } from './errors.ts';

/** Makes durable which files a folder holds. Without it a new or renamed file may be gone after a crash, a removed one be back. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders, and its renames are journaled.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems of networks and containers cannot sync a folder.
    if (!hasCode(error, 'EINVAL')) throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file, durably. After a crash it has the old content or the new one, never a part.
 * @param mode of a file that is made; default: what the process makes files with
 * @throws Error with the code `EEXIST` where there is a file and `replace` is false
 */
export async function writeDurably(
  file: string,
  content: string | Uint8Array,
  { replace = true, mode }: { readonly replace?: boolean; readonly mode?: number | undefined } = {},
): Promise<void> {
  // Not named after the process, whose number in a container is always the same.
  const draft = `${file}.${crypto.randomUUID()}.tmp`;
  try {
    const handle = await open(draft, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // A link fails where a file is, and appears with its content.
    if (replace) await rename(draft, file);
    else await link(draft, file);
    await syncFolder(dirname(file));
  } finally {
    await rm(draft, { force: true });
  }
}
