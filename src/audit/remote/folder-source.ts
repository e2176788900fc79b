import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { AntequemError, messageOf } from '../../core/errors.ts';
import { type AuditSource, tooLong } from './source.ts';

/** Reads a mirror from disk. What is in it is no more trusted than what a service sends. */
export class FolderSource implements AuditSource {
  readonly copy = true as const;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  describe(): string {
    return this.#folder;
  }

  async read(path: string, most: number): Promise<Uint8Array | null> {
    const file = join(this.#folder, ...path.split('/'));
    try {
      return readWhole(file, most);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      if (error instanceof AntequemError) throw error;
      const why = messageOf(error);
      throw new AntequemError('mirror-unreadable', `${file} cannot be read: ${why}`, { cause: error });
    }
  }

  close(): void {}
}

/** Blocking: of small files in the system's cache that takes a fifth of the time that handing them to a thread does. */
function readWhole(file: string, most: number): Uint8Array | null {
  // Not to wait for whoever writes, where somebody put a pipe there.
  const handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile()) return null;
    if (stat.size > most) throw tooLong(file, most);
    const bytes = Buffer.allocUnsafe(stat.size);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(handle, bytes, length, bytes.length - length, length);
    return bytes.subarray(0, length);
  } finally {
    closeSync(handle);
  }
}
