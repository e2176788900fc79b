import { createReadStream } from 'node:fs';
import { AntequemError, messageOf } from '../core/errors.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';

/**
 * The lines of a file (`-`: standard input) without their newlines, byte for byte; blank ones are skipped.
 * @throws AntequemError `file-unreadable`, `line-too-long`
 */
export async function* fileLines(file: string, most: number): AsyncGenerator<Buffer, void, undefined> {
  let rest: Buffer[] = [];
  let length = 0;
  let number = 1;
  const add = (part: Buffer): void => {
    rest.push(part);
    length += part.length;
    if (length > most)
      throw new AntequemError('line-too-long', `line ${number} of ${file} has more than ${most} bytes`);
  };
  const take = (): Buffer => {
    const line = Buffer.concat(rest);
    [rest, length] = [[], 0];
    number++;
    return line;
  };
  for await (const chunk of chunksOf(file)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      const line = take();
      if (!isBlank(line)) yield line;
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  const last = take();
  if (!isBlank(last)) yield last;
}

async function* chunksOf(file: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) yield Buffer.from(chunk);
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
