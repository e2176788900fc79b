// The same text with its lines ended otherwise, as editors, shells and mail programs save it.

import { concat, utf8 } from '../core/bytes.ts';

const CR = 0x0d;
const LF = 0x0a;
const LF_END = utf8('\n');
const CRLF_END = utf8('\r\n');

export interface TextForm {
  /** Such as `without its last newline`. */
  readonly form: string;
  readonly bytes: Uint8Array;
}

/** At most eight forms that differ from the given text in line ends alone. */
export function* otherLineEnds(text: Uint8Array): Generator<TextForm> {
  yield* otherLastEnd(text, '');
  const pairs = countPairs(text);
  const newlines = text.reduce((count, byte) => count + (byte === LF ? 1 : 0), 0);
  if (pairs > 0) {
    const bytes = withoutReturns(text, pairs);
    yield { form: 'with line ends of Unix (LF)', bytes };
    yield* otherLastEnd(bytes, 'with line ends of Unix (LF) and ');
  }
  if (newlines > pairs) {
    const bytes = withReturns(text, newlines - pairs);
    yield { form: 'with line ends of Windows (CRLF)', bytes };
    yield* otherLastEnd(bytes, 'with line ends of Windows (CRLF) and ');
  }
}

function* otherLastEnd(text: Uint8Array, before: string): Generator<TextForm> {
  if (text.at(-1) !== LF) {
    yield { form: `${before}with a newline at its end`, bytes: concat(text, LF_END) };
    yield { form: `${before}with a newline (CRLF) at its end`, bytes: concat(text, CRLF_END) };
    return;
  }
  const end = text.at(-2) === CR ? 2 : 1;
  yield { form: `${before}without its last newline`, bytes: text.subarray(0, text.length - end) };
}

function countPairs(text: Uint8Array): number {
  let count = 0;
  for (let i = 1; i < text.length; i++) if (text[i] === LF && text[i - 1] === CR) count++;
  return count;
}

function withoutReturns(text: Uint8Array, pairs: number): Uint8Array {
  const bytes = new Uint8Array(text.length - pairs);
  let at = 0;
  for (let i = 0; i < text.length; i++) if (text[i] !== CR || text[i + 1] !== LF) bytes[at++] = text[i] ?? 0;
  return bytes;
}

function withReturns(text: Uint8Array, bare: number): Uint8Array {
  const bytes = new Uint8Array(text.length + bare);
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === LF && text[i - 1] !== CR) bytes[at++] = CR;
    bytes[at++] = text[i] ?? 0;
  }
  return bytes;
}
