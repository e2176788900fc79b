import { writeDurably } from '../core/durable-file.node.ts';
import { AntequemError, hasCode, messageOf } from '../core/errors.ts';

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
  try {
    await writeDurably(file, content, { replace, mode });
  } catch (cause) {
    if (hasCode(cause, 'EEXIST')) throw fileExists(file);
    throw new AntequemError('file-unwritable', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

export function fileExists(file: string): AntequemError {
  return new AntequemError('file-exists', `${file} exists already; move it away, or replace it with --force`);
}
