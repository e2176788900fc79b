// One generation of the journal of what was published (published-file.ts), as far as it was read.

import { createHash, type Hash, randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { appendLines, fieldsOf, lineOf, looksWhole, wholeLines } from './guard-file.ts';
import { type Mark, markText, parseMark } from './published.ts';

export interface Journal {
  readonly number: number;
  readonly handle: FileHandle;
  readonly marks: Map<string, Mark>;
  /** Whether changes of this process took effect, by their ids, until that is asked for. */
  readonly decided: Map<string, boolean>;
  offset: number;
  sealed: boolean;
  /** What it calls itself; null: it was made before journals had names, or has lost it. */
  name: string | null;
  /** Of all that was read. */
  readonly hash: Hash;
  /** A line with a wrong check, behind which none has come yet. */
  doubtful: string | null;
  /** Whether a line was altered that others follow. */
  altered: boolean;
  /** Whether there was none before this process made it. */
  readonly fresh: boolean;
}

/** Of which nothing was read yet. */
export function begun(number: number, handle: FileHandle, fresh: boolean): Journal {
  const read = { offset: 0, sealed: false, name: null, hash: createHash('sha256'), doubtful: null, altered: false };
  return { number, handle, fresh, marks: new Map(), decided: new Map(), ...read };
}

/** The line that names a journal. @param name default: a new one */
export function nameLine(name = randomBytes(8).toString('hex')): string {
  return lineOf('id', name);
}

/** Appends lines, durably. */
export async function append({ handle }: Pick<Journal, 'handle'>, lines: readonly string[]): Promise<void> {
  await appendLines(handle, lines);
  await handle.datasync();
}

/** Takes in what was appended since, up to the last whole line or the seal. @param own begins the ids of this process */
export async function readOn(journal: Journal, own: string): Promise<void> {
  if (journal.sealed) return;
  for await (const bytes of wholeLines(journal.handle, journal.offset)) {
    for (const line of bytes.toString('utf8').split('\n')) take(journal, line, own);
    journal.hash.update(bytes);
    journal.offset += bytes.length;
    if (journal.sealed) return;
  }
}

function take(journal: Journal, line: string, own: string): void {
  if (journal.sealed || line === '') return;
  // Whole, and with a wrong check: a kill leaves a part of a line.
  if (journal.doubtful !== null && looksWhole(journal.doubtful)) journal.altered = true;
  const [kind, ...fields] = fieldsOf(line) ?? [];
  journal.doubtful = kind === undefined ? line : null;
  if (kind === 'end') {
    journal.sealed = true;
  } else if (kind === 'id') {
    journal.name ??= fields[0] ?? null;
  } else if (kind === 'm') {
    const [subject = '', mark = ''] = fields;
    journal.marks.set(subject, parseMark(mark));
  } else if (kind === 'c') {
    const [id = '', subject = '', from = '', to = ''] = fields;
    const effective = markText(journal.marks.get(subject) ?? null) === from;
    if (effective) journal.marks.set(subject, parseMark(to));
    if (id.startsWith(own)) journal.decided.set(id, effective);
  }
}
