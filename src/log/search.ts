import { parseJson } from '../core/json.ts';
import type { EntryReader, StoredEntry } from './entries.ts';
import type { Log } from './log.ts';

/** What is looked for; null: anything. */
export interface Criteria {
  /** Received at this time or later, before that one; milliseconds since the Unix epoch. */
  readonly since: number | null;
  readonly until: number | null;
  /** The payload holds these bytes. */
  readonly text: Uint8Array | null;
  /** The payload is JSON with all of these. */
  readonly fields: readonly FieldCriterion[];
}

/** A place in JSON (RFC 6901), taken apart, and the text of what stands there: a string, number, boolean or null. */
export interface FieldCriterion {
  readonly pointer: readonly string[];
  readonly value: string;
}

/** An entry with its payload; null where there is none. */
export interface FoundEntry extends StoredEntry {
  readonly payload: Uint8Array | null;
}

/** What one page looks through at most, whatever it finds. */
const PAGE_ENTRIES = 10_000;
const PAGE_BYTES = 8 << 20;
/** What is in memory at a time. */
const PORTION_ENTRIES = 256;
const PORTION_BYTES = 1 << 20;

/** Some entries that fit, and where to go on; null: nothing is left. */
export interface FoundPage {
  readonly entries: readonly FoundEntry[];
  readonly next: number | null;
}

/** The part of [from, end) in which entries of that time stand; times never decrease in a log. */
export async function rangeOf(
  entries: EntryReader,
  log: Log,
  { since, until }: Pick<Criteria, 'since' | 'until'>,
  from: number,
  end: number,
): Promise<{ from: number; end: number }> {
  const begin = since === null ? from : await firstAt(entries, log, since, from, end);
  return { from: begin, end: until === null ? end : await firstAt(entries, log, until, begin, end) };
}

/** The first index of [from, end) received at `time` or later; `end` where there is none. O(log n) rows. */
async function firstAt(entries: EntryReader, log: Log, time: number, from: number, end: number): Promise<number> {
  let [low, high] = [from, end];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const entry = await entries.read(log, middle);
    if (entry === null || entry.receivedAt >= time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Looks through [from, end) until `limit` entries fit or a page's work is done. The work of a page is bounded, not that
 * of finding something: whoever goes on reads on.
 */
export async function searchPage(
  entries: EntryReader,
  log: Log,
  { text, fields }: Pick<Criteria, 'text' | 'fields'>,
  { from, end, limit }: { readonly from: number; readonly end: number; readonly limit: number },
): Promise<FoundPage> {
  const found: FoundEntry[] = [];
  const last = Math.min(end, from + PAGE_ENTRIES);
  let bytes = 0;
  let next = from;
  while (next < last && found.length < limit && bytes < PAGE_BYTES) {
    const portion = await entries.portion(log, next, Math.min(last, next + PORTION_ENTRIES), PORTION_BYTES);
    for (const entry of portion) {
      next = entry.index + 1;
      bytes += entry.payloadSize ?? 0;
      if (fits(entry.payload, text, fields)) found.push(entry);
      if (found.length === limit) break;
    }
  }
  return { entries: found, next: next < end ? next : null };
}

function fits(payload: Uint8Array | null, text: Uint8Array | null, fields: readonly FieldCriterion[]): boolean {
  if (text === null && fields.length === 0) return true;
  if (payload === null) return false;
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (text !== null && !bytes.includes(Buffer.from(text))) return false;
  return fields.length === 0 || hasFields(bytes, fields);
}

function hasFields(bytes: Buffer, fields: readonly FieldCriterion[]): boolean {
  const json = parseJson(bytes.toString());
  return fields.every(({ pointer, value }) => {
    const there = pointer.reduce(step, json);
    return Array.isArray(there) ? there.some((element: unknown) => isScalar(element, value)) : isScalar(there, value);
  });
}

function step(json: unknown, name: string): unknown {
  // Not what an object merely inherits.
  return typeof json === 'object' && json !== null ? Object.getOwnPropertyDescriptor(json, name)?.value : undefined;
}

function isScalar(json: unknown, value: string): boolean {
  return json !== undefined && typeof json !== 'object' ? String(json) === value : json === null && value === 'null';
}
