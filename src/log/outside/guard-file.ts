// The guard's files: lines that all processes of the machine append to, in numbered generations `<file>.<n>`, of which the
// newest counts. A line is check ‖ kind ‖ fields, with spaces between; the check tells lines that were torn or altered.

import { type FileHandle, readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';

const READ_BYTES = 64 << 10;

export function lineOf(...fields: readonly string[]): string {
  const text = fields.join(' ');
  return `${checkOf(text)} ${text}`;
}

/** Kind and fields of a line; null where its check is wrong. */
export function fieldsOf(line: string): readonly string[] | null {
  const [check = '', ...fields] = line.split(' ');
  return fields.length > 0 && checkOf(line.slice(check.length + 1)) === check ? fields : null;
}

const WHOLE = /^[0-9a-f]{12} (?:end|id \S+|[a-z] .* \d+:[0-9a-f]{64})$/;

/** Whether a line whose check is wrong was written whole, so that it was altered since; else it was cut off. */
export function looksWhole(line: string): boolean {
  return WHOLE.test(line) || /[^\x20-\x7e]/.test(line);
}

/** The new line first: it ends a line that a process was killed over. @returns how many bytes were written */
export async function appendLines(handle: FileHandle, lines: readonly string[]): Promise<number> {
  const bytes = Buffer.from(`\n${lines.join('\n')}\n`);
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
  return bytes.length;
}

/** What stands from an offset on, up to the last whole line, in pieces that end with a line. */
export async function* wholeLines(handle: FileHandle, from: number): AsyncGenerator<Buffer> {
  let offset = from;
  let rest = Buffer.alloc(0);
  for (;;) {
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    const { bytesRead } = await handle.read(chunk, 0, READ_BYTES, offset);
    if (bytesRead === 0) return;
    offset += bytesRead;
    const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    const end = bytes.lastIndexOf('\n') + 1;
    if (end > 0) yield bytes.subarray(0, end);
    rest = bytes.subarray(end);
  }
}

/** The numbers of the generations that are there, ascending. */
export async function generationsOf(file: string): Promise<number[]> {
  const prefix = `${basename(file)}.`;
  const names = await readdir(dirname(file)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });
  const numbers = names.flatMap((name) => {
    const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
    return /^[1-9]\d{0,14}$/.test(rest) ? [Number(rest)] : [];
  });
  return numbers.sort((a, b) => a - b);
}

function checkOf(text: string): string {
  return toHex(sha256(utf8(text)).subarray(0, 6));
}
