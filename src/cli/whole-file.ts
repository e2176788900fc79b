import { writeDurably } from '../core/durable-file.node.ts';
import { AntequemError, hasCode, messageOf } from '../core/errors.ts';

/**
 * Writes a file atomically and durably: after a crash it has the old or the new content, and once this returns the new.
 * @param mode of a new file; default: the process's default mode
 * @throws AntequemError `file-exists` unless `replace`, `file-unwritable`
 */
export async function writeWhole(
  file: string,
  content: string | Uint8Array,
  replace: boolean,
  mode?: number,
): Promise<void> {
  try {
    await writeDurably(file, content, { replace, mode });
  } catch (cause) {
    if (hasCode(cause, 'EEXIST')) throw fileExists(file);
    throw new AntequemError('file-unwritable', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

export function fileExists(file: string): AntequemError {
  return new AntequemError('file-exists', `${file} already exists; move it away, or replace it with --force`);
}
