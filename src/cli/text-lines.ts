import { createReadStream } from 'node:fs';
import { concat } from '../core/bytes.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';
import { encodingOf } from '../core/proof-text.ts';

/**
 * The lines of a file (`-`: standard input) without their newlines, byte for byte; blank ones are skipped.
 * @throws AntequemError `file-unreadable`, `line-too-long`
 */
export function fileLines(file: string, most: number): AsyncGenerator<Buffer, void, undefined> {
  return linesOf(chunksOf(file), file, most);
}

/**
 * The lines of a text file, in UTF-8 whichever encoding of `proofText` the file has; blank ones are skipped.
 * @throws AntequemError `file-unreadable`, `line-too-long`
 */
export function textFileLines(file: string, most: number): AsyncGenerator<Buffer, void, undefined> {
  return linesOf(inUtf8(chunksOf(file)), file, most);
}

async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  file: string,
  most: number,
): AsyncGenerator<Buffer, void, undefined> {
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
  for await (const chunk of chunks) {
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

async function* inUtf8(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let first = new Uint8Array(0);
  let decode: ((bytes: Uint8Array) => Buffer) | null = null;
  for await (const chunk of chunks) {
    const bytes: Uint8Array = decode === null ? concat(first, chunk) : chunk;
    if (bytes.length < 2) {
      first = new Uint8Array(bytes);
      continue;
    }
    decode ??= decoderOf(encodingOf(bytes));
    yield decode(bytes);
  }
  if (decode === null) yield Buffer.from(first);
}

function decoderOf(encoding: string): (bytes: Uint8Array) => Buffer {
  if (encoding === 'utf-8') return (bytes) => Buffer.from(bytes);
  const decoder = new TextDecoder(encoding);
  return (bytes) => Buffer.from(decoder.decode(bytes, { stream: true }));
}
