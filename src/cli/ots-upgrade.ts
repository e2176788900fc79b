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
  /** Calendars that may be asked besides the well-known public ones. */
  readonly calendars: readonly string[];
  readonly json: boolean;
}

const TIMEOUT_MS = 15_000;
const NOT_YET = 2;

/**
 * Completes the file in place and keeps the old one as FILE.bak. Exit code 2 if there is no path to Bitcoin yet.
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
  const kept = backup === null ? '' : `; the old file is kept as ${backup}`;
  print(`${file}: ${changed ? 'upgraded' : 'nothing new'}, ${stateOf(after)}${kept}`);
}

function outcomeText({ uri, outcome, detail }: CalendarOutcome): string {
  switch (outcome) {
    case 'completed':
      return `${uri}: added a path to a Bitcoin block`;
    case 'extended':
      return `${uri}: added more, but no Bitcoin block yet`;
    case 'pending':
      return `${uri}: nothing new yet`;
    case 'failed':
      return `failed: ${detail}`;
    case 'not-asked':
      return `${uri}: not asked, ${detail}; to ask it, name it with --calendar`;
  }
}

function stateOf({ timestamp }: OtsFile): string {
  const heights = [...timestampLines(timestamp)].flatMap(({ attestation }) =>
    attestation.kind === 'bitcoin' ? [attestation.height] : [],
  );
  if (heights.length === 0) return 'no calendar has a Bitcoin block for it yet';
  return `it names Bitcoin block ${Math.min(...heights)}, which was not checked`;
}

/** @returns the name of the backup */
async function replace(file: string, bytes: Uint8Array, after: OtsFile): Promise<string> {
  // A symbolic link stays: the file it points to is replaced.
  const target = await realpath(file);
  const { mode } = await stat(target);
  const backup = `${target}.bak`;
  await checkBackup(backup, parseOtsFile(bytes));
  await writeWhole(backup, bytes, true, mode);
  if (!equalBytes(await readFile(target), bytes)) {
    throw new AntequemError(
      'file-changed',
      `${file} was changed by another program while calendars were asked; nothing was written to it`,
    );
  }
  await writeWhole(target, serializeOtsFile(after), true, mode);
  return backup;
}

/** Replaces an existing backup only if the file contains everything in it, as after an earlier upgrade. */
async function checkBackup(backup: string, current: OtsFile): Promise<void> {
  let old: Uint8Array;
  try {
    old = await readFile(backup);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw new AntequemError('file-unreadable', `cannot read ${backup}: ${messageOf(error)}`, { cause: error });
  }
  if (!contains(current, old)) {
    throw new AntequemError('backup-exists', `${backup} exists and is not a backup of this file: move it away`);
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
