import { open } from 'node:fs/promises';
import { AntequemError } from '../core/errors.ts';
import { type OtsFile, parseOtsFile } from '../ots/file.ts';
import { MAX_TIMESTAMP } from '../ots/serialization.ts';
import { reason } from './session.ts';

/** An .ots file; `-` is standard input. @throws AntequemError `file-unreadable`; OtsError */
export async function readOtsFile(file: string): Promise<OtsFile> {
  return parseOtsFile(await readOtsBytes(file));
}

/** Its bytes, no more of them than tell that it is too large. @throws AntequemError `file-unreadable` */
export async function readOtsBytes(file: string): Promise<Uint8Array> {
  try {
    if (file === '-') return await bounded(process.stdin);
    const handle = await open(file);
    try {
      return await bounded(handle.createReadStream({ autoClose: false }));
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
}

async function bounded(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_TIMESTAMP) break;
  }
  return new Uint8Array(Buffer.concat(chunks));
}
