// `antequem upgrade` of an .ots file.

import { readFile, realpath, stat } from 'node:fs/promises';
import { equalBytes } from '../core/bytes.ts';
import { AntequemError, FormatError, hasCode, messageOf } from '../core/errors.ts';
import { calendarClient } from '../ots/calendar-client.ts';
import { type OtsFile, parseOtsFile, serializeOtsFile } from '../ots/file.ts';
import { timestampLines } from '../ots/line.ts';
import { mergeTimestamps } from '../ots/timestamp.ts';
import { type CalendarOutcome, complete, reachesBitcoin } from './ots-completion.ts';
import { note, print, printJson } from './output.ts';
import { calendarOf, isPublicCalendar } from './public-calendars.ts';
import { writeWhole } from './whole-file.ts';

export interface OtsUpgrade {
  readonly file: string;
  readonly bytes: Uint8Array;
  /** Calendars that may be asked beside the well-known public ones. */
  readonly calendars: readonly string[];
  readonly json: boolean;
}

const TIMEOUT_MS = 15_000;
const NOT_YET = 2;

/**
 * Completes the file in place; what it was stays beside it as FILE.bak. Exit code 2 while no way to Bitcoin is known.
 * @throws OtsError; AntequemError `backup-exists`, `file-changed`, `file-unwritable`
 */
export async function upgradeOts({ file, bytes, calendars, json }: OtsUpgrade): Promise<void> {
  const before = parseOtsFile(bytes);
  const given = new Set(calendars.map(calendarOf));
  const client = calendarClient({ timeout: TIMEOUT_MS });
  const { file: after, outcomes } = await complete(
    before,
    (uri) => given.has(calendarOf(uri)) || isPublicCalendar(uri),
    client,
  );
  const changed = outcomes.some(({ outcome }) => outcome === 'completed' || outcome === 'extended');
  const backup = changed ? await replace(file, bytes, after) : null;
  const whole = reachesBitcoin(after.timestamp);
  if (!whole) process.exitCode = NOT_YET;
  if (json) return printJson({ file, changed, complete: whole, backup, calendars: outcomes });
  for (const outcome of outcomes) note(outcomeText(outcome));
  const kept = backup === null ? '' : `; as it was it is kept in ${backup}`;
  print(`${file}: ${changed ? 'upgraded' : 'nothing new'}, ${stateOf(after)}${kept}`);
}

function outcomeText({ uri, outcome, detail }: CalendarOutcome): string {
  switch (outcome) {
    case 'completed':
      return `${uri}: led on to Bitcoin`;
    case 'extended':
      return `${uri}: led on, but not to a block yet`;
    case 'pending':
      return `${uri}: nothing more yet`;
    case 'failed':
      return `failed: ${detail}`;
    case 'not-asked':
      return `${uri}: not asked, ${detail}; name it with --calendar if you want it to be`;
  }
}

function stateOf({ timestamp }: OtsFile): string {
  const heights = [...timestampLines(timestamp)].flatMap(({ attestation }) =>
    attestation.kind === 'bitcoin' ? [attestation.height] : [],
  );
  if (heights.length === 0) return 'no calendar has a block of Bitcoin for it yet';
  return `by its own word in block ${Math.min(...heights)} of Bitcoin`;
}

/** @returns the name of the backup */
async function replace(file: string, bytes: Uint8Array, after: OtsFile): Promise<string> {
  // A link is followed, not replaced.
  const target = await realpath(file);
  const { mode } = await stat(target);
  const backup = `${target}.bak`;
  await checkBackup(backup, parseOtsFile(bytes));
  await writeWhole(backup, bytes, true, mode);
  if (!equalBytes(await readFile(target), bytes)) {
    throw new AntequemError('file-changed', `${file} changed while calendars were asked; nothing was written to it`);
  }
  await writeWhole(target, serializeOtsFile(after), true, mode);
  return backup;
}

/** A backup that is there is replaced where the file has all it has, as one of an earlier upgrade does. */
async function checkBackup(backup: string, current: OtsFile): Promise<void> {
  let old: Uint8Array;
  try {
    old = await readFile(backup);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw new AntequemError('file-unreadable', `cannot read ${backup}: ${messageOf(error)}`, { cause: error });
  }
  if (!contains(current, old)) {
    throw new AntequemError('backup-exists', `${backup} exists and is something else: move it away`);
  }
}

function contains(current: OtsFile, old: Uint8Array): boolean {
  try {
    const { hash, timestamp } = parseOtsFile(old);
    const merged = { hash, timestamp: mergeTimestamps(current.timestamp, timestamp) };
    return hash === current.hash && equalBytes(serializeOtsFile(merged), serializeOtsFile(current));
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
