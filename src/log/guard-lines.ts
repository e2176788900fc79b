// Lines of the guard's files: check ‖ kind ‖ fields, with spaces between. The check tells what was torn or altered.

import { sha256 } from '#sha256';
import { fromHex, toHex, utf8 } from '../core/bytes.ts';
import { type Mark, markText } from './published.ts';

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

/** @param text as `markText` writes it */
export function parseMark(text: string): Mark {
  const [size = '', root = ''] = text.split(':');
  return { size: Number(size), root: fromHex(root) };
}

/** A line that records how far a log was answered. */
export function answeredLine(kind: 'a' | 'r', origin: string, mark: Mark): string {
  return lineOf(kind, origin, markText(mark));
}

function checkOf(text: string): string {
  return toHex(sha256(utf8(text)).subarray(0, 6));
}
