import { open } from 'node:fs/promises';
import { AntequemError, messageOf } from '../core/errors.ts';

/**
 * Reads a file (`-`: standard input), at most `most` + 1 bytes: a longer result than `most` means the file is too large.
 * @throws AntequemError `file-unreadable`
 */
export async function readAtMost(file: string, most: number): Promise<Uint8Array> {
  try {
    if (file === '-') return await bounded(process.stdin, most);
    const handle = await open(file);
    try {
      return await bounded(handle.createReadStream({ autoClose: false }), most);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

async function bounded(stream: AsyncIterable<Uint8Array>, most: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > most) break;
  }
  return new Uint8Array(Buffer.concat(chunks).subarray(0, most + 1));
}
