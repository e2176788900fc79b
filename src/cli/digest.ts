import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { AntequemError } from '../core/errors.ts';
import { reason } from './session.ts';

/** SHA-256 of a file, of any size, or of standard input for `-`: 32 bytes. @throws AntequemError `file-unreadable` */
export async function digestOf(file: string): Promise<Uint8Array> {
  const hash = createHash('sha256');
  try {
    if (file !== '-' && (await stat(file)).isDirectory()) throw new Error('it is a folder');
    const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1 << 18 });
    for await (const chunk of stream) hash.update(chunk);
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
  return new Uint8Array(hash.digest());
}
