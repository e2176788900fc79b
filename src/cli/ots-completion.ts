// Asks calendars for the missing parts of a timestamp.

import { toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { type CalendarClient, CalendarError } from '../ots/calendar-client.ts';
import { type OtsFile, serializeOtsFile } from '../ots/file.ts';
import { type Line, timestampLines } from '../ots/line.ts';
import { MAX_TIMESTAMP } from '../ots/serialization.ts';
import { mergeTimestamps, type Timestamp, TimestampBuilder } from '../ots/timestamp.ts';
import { calendarOf } from './public-calendars.ts';

/** The outcome for one pending attestation. */
export interface CalendarOutcome {
  /** The calendar's URI as it is in the file. */
  readonly uri: string;
  /**
   * `completed`: the answer leads to a Bitcoin block. `extended`: it adds operations, but no block yet. `pending`: the
   * calendar has nothing new yet. `failed`: there was no valid answer. `not-asked`: this calendar may not be asked.
   */
  readonly outcome: 'completed' | 'extended' | 'pending' | 'failed' | 'not-asked';
  /** The reason, for the last two. */
  readonly detail?: string;
}

export interface Completion {
  readonly file: OtsFile;
  readonly outcomes: readonly CalendarOutcome[];
}

/** Calendars' messages have about 44 bytes. */
const MAX_ASKED = 256;
const MAX_QUESTIONS = 64;
const AT_ONCE = 8;

/**
 * Asks for every pending attestation without a path to Bitcoin, and adds the answers. Nothing is removed from the file.
 * Answers are checked to be timestamps of the message asked for; checking the blocks is left to the verifier.
 */
export async function complete(
  file: OtsFile,
  mayAsk: (uri: string) => boolean,
  client: CalendarClient,
): Promise<Completion> {
  const open = openPromises(file.timestamp);
  const outcomes: CalendarOutcome[] = [];
  let { timestamp } = file;
  for (let i = 0; i < open.length; i += AT_ONCE) {
    const asked = open.slice(i, i + AT_ONCE).map((promise, n) => ask(promise, i + n, mayAsk, client));
    for (const answer of await Promise.all(asked)) {
      const { outcome, extended } = extend({ ...file, timestamp }, answer);
      outcomes.push(outcome);
      timestamp = extended;
    }
  }
  return { file: { ...file, timestamp }, outcomes };
}

/** Whether a timestamp claims a Bitcoin block. The block is not checked. */
export function reachesBitcoin(timestamp: Timestamp): boolean {
  return [...timestampLines(timestamp)].some(({ attestation }) => attestation.kind === 'bitcoin');
}

interface OpenPromise {
  readonly uri: string;
  readonly line: Line;
}

/** Pending attestations, each once, except those of messages that already have a path to Bitcoin. */
function openPromises(timestamp: Timestamp): OpenPromise[] {
  const kept = messagesToBitcoin(timestamp);
  const open = new Map<string, OpenPromise>();
  for (const line of timestampLines(timestamp)) {
    const { attestation, message } = line;
    if (attestation.kind !== 'pending' || kept.has(toHex(message))) continue;
    const { uri } = attestation;
    const key = `${calendarOf(uri)} ${toHex(message)}`;
    if (!open.has(key)) open.set(key, { uri, line });
  }
  return [...open.values()];
}

function messagesToBitcoin(timestamp: Timestamp): Set<string> {
  const nodes = [timestamp];
  // The list grows during the loop, so each node comes before its children.
  for (const { branches } of nodes) for (const { next } of branches) nodes.push(next);
  const leading = new Set<Timestamp>();
  const messages = new Set<string>();
  for (const node of nodes.reverse()) {
    const here = node.attestations.some(({ kind }) => kind === 'bitcoin');
    if (!here && !node.branches.some(({ next }) => leading.has(next))) continue;
    leading.add(node);
    messages.add(toHex(node.message));
  }
  return messages;
}

interface Answer {
  readonly promise: OpenPromise;
  readonly outcome: CalendarOutcome;
  readonly timestamp: Timestamp | null;
}

async function ask(
  promise: OpenPromise,
  place: number,
  mayAsk: (uri: string) => boolean,
  client: CalendarClient,
): Promise<Answer> {
  const { uri, line } = promise;
  const none = (outcome: CalendarOutcome['outcome'], detail?: string): Answer => ({
    promise,
    outcome: { uri, outcome, ...(detail === undefined ? {} : { detail }) },
    timestamp: null,
  });
  if (!mayAsk(uri)) return none('not-asked', 'it is not one of the calendars that may be asked');
  if (place >= MAX_QUESTIONS) return none('not-asked', `the file has more than ${MAX_QUESTIONS} pending attestations`);
  if (line.message.length > MAX_ASKED) {
    return none('not-asked', `its message has ${line.message.length} bytes, too many for a calendar`);
  }
  try {
    const answer = await client.upgrade(calendarOf(uri), line.message);
    if (answer === null) return none('pending');
    const { timestamp } = answer;
    const outcome = reachesBitcoin(timestamp) ? 'completed' : 'extended';
    return { promise, outcome: { uri, outcome }, timestamp };
  } catch (error) {
    if (!(error instanceof CalendarError)) throw error;
    return none('failed', error.message);
  }
}

/** Adds the answer to the file's timestamp, unless the file would become too large or nothing is new. */
function extend(
  file: OtsFile,
  { promise, outcome, timestamp }: Answer,
): { outcome: CalendarOutcome; extended: Timestamp } {
  const unchanged = file.timestamp;
  if (timestamp === null) return { outcome, extended: unchanged };
  const { uri } = promise;
  try {
    const builder = new TimestampBuilder(unchanged.message);
    builder.follow(promise.line.ops).add(timestamp);
    const extended = mergeTimestamps(unchanged, builder.finish());
    const before = serializeOtsFile(file).length;
    const size = serializeOtsFile({ ...file, timestamp: extended }).length;
    if (size > MAX_TIMESTAMP) throw new FormatError('ots-size', `the file would have ${size} bytes`);
    return size === before ? { outcome: { uri, outcome: 'pending' }, extended: unchanged } : { outcome, extended };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return {
      outcome: { uri, outcome: 'failed', detail: `its answer does not fit: ${error.message}` },
      extended: unchanged,
    };
  }
}
