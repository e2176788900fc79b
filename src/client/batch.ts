// How entries are put into requests.

import { concatAll, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES } from '../core/limits.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';

/** Half of what the service takes, so that what a request costs when it has to be repeated stays moderate. */
const REQUEST_BYTES = MAX_BATCH_BYTES / 2;

/** An entry as an application has it: text, bytes, or what JSON can write. */
export type EntryContent = string | Uint8Array | object;

/** The bytes of an entry. @throws FormatError `entry-too-large`, `entry-invalid` */
export function entryBytes(content: EntryContent): Uint8Array {
  const bytes = content instanceof Uint8Array ? new Uint8Array(content) : utf8(textOf(content));
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw new FormatError(
      'entry-too-large',
      `the entry has ${bytes.length} bytes; ${MAX_ENTRY_BYTES} are the most: append its digest instead`,
    );
  }
  return bytes;
}

function textOf(content: string | object): string {
  const text: unknown = typeof content === 'string' ? content : JSON.stringify(content);
  if (typeof text !== 'string')
    throw new FormatError('entry-invalid', 'an entry is text, bytes or what JSON can write');
  return text;
}

/** How many of the entries go into the next request, from the first on: lines together, what is no line alone. */
export function batchLength(entries: readonly { readonly bytes: Uint8Array }[]): number {
  let size = 0;
  let length = 0;
  for (const { bytes } of entries) {
    if (!isLine(bytes)) return Math.max(length, 1);
    size += bytes.length + 1;
    if (length > 0 && (size > REQUEST_BYTES || length === MAX_BATCH_ENTRIES)) return length;
    length++;
  }
  return length;
}

/** The body of a request: one entry as it is, or several as lines. */
export function batchBody(entries: readonly Uint8Array[]): {
  readonly lines: boolean;
  readonly body: Uint8Array<ArrayBuffer>;
} {
  const [first] = entries;
  if (first !== undefined && entries.length === 1 && !isLine(first)) {
    return { lines: false, body: new Uint8Array(first) };
  }
  const newline = Uint8Array.of(NEWLINE);
  return { lines: true, body: new Uint8Array(concatAll(entries.flatMap((bytes) => [bytes, newline]))) };
}

/** Whether the bytes can be sent as a line: they hold no newline, and are not blank, since the service skips blank lines. */
function isLine(bytes: Uint8Array): boolean {
  return !bytes.includes(NEWLINE) && !isBlank(bytes);
}
