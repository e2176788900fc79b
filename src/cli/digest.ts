import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { concat } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { reason } from './session.ts';

/** Content up to so many bytes is kept whole. */
const KEPT = 64 << 20;

export interface Content {
  /** 32 bytes: its SHA-256. */
  readonly digest: Uint8Array;
  /** Null where it is too large to be kept. */
  readonly payload: Uint8Array | null;
}

/** SHA-256 of a file of any size, or of standard input for `-`: 32 bytes. @throws AntequemError `file-unreadable` */
export async function digestOf(file: string): Promise<Uint8Array> {
  return (await readContent(file, 0)).digest;
}

/** A file, or standard input for `-`, in bounded memory. @throws AntequemError `file-unreadable` */
export async function readContent(file: string, keep: number = KEPT): Promise<Content> {
  const hash = createHash('sha256');
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    if (file !== '-' && (await stat(file)).isDirectory()) throw new Error('it is a folder');
    const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1 << 18 });
    for await (const chunk of stream) {
      hash.update(chunk);
      length += chunk.length;
      if (length <= keep) chunks.push(chunk);
      else chunks.length = 0;
    }
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
  return { digest: new Uint8Array(hash.digest()), payload: length <= keep ? concat(...chunks) : null };
}
