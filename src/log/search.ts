import { parseJson } from '../core/json.ts';
import type { Criterion, EntryReader, FoundEntry } from './entries.ts';
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

/** What one page looks through at most, whatever it finds. */
const PAGE_ENTRIES = 10_000;
const PAGE_BYTES = 8 << 20;
/** What is in memory at a time. */
const PORTION_BYTES = 1 << 20;

export type PortionReader = Pick<EntryReader, 'portion'>;

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
    const receivedAt = await entries.receivedAt(log, middle);
    if (receivedAt === null || receivedAt >= time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Looks through [from, end) until `limit` entries fit or a page's work is done. The work of a page is bounded, not that
 * of finding something: whoever goes on reads on.
 */
export async function searchPage(
  entries: PortionReader,
  log: Log,
  { text, fields }: Pick<Criteria, 'text' | 'fields'>,
  { from, end, limit }: { readonly from: number; readonly end: number; readonly limit: number },
): Promise<FoundPage> {
  const criterion = criterionOf(text, fields);
  const found: FoundEntry[] = [];
  // Where all fit, none is read that is not told.
  const last = Math.min(end, from + (criterion === null ? Math.min(limit, PAGE_ENTRIES) : PAGE_ENTRIES));
  let bytes = 0;
  let next = from;
  while (next < last && found.length < limit && bytes < PAGE_BYTES) {
    const most = limit - found.length;
    const portion = await entries.portion(log, next, last, { bytes: PORTION_BYTES, most, criterion });
    found.push(...portion.entries);
    next = portion.next;
    bytes += portion.bytes;
  }
  return { entries: found, next: next < end ? next : null };
}

function criterionOf(text: Uint8Array | null, fields: readonly FieldCriterion[]): Criterion | null {
  if (text === null && fields.length === 0) return null;
  const wanted = text === null ? null : Buffer.from(text);
  const literals = fields.flatMap(({ value }) => (isLiteral(value) ? [Buffer.from(value)] : []));
  const hasBytes = (bytes: Buffer): boolean => {
    if (wanted !== null && !bytes.includes(wanted)) return false;
    return literals.every((literal) => bytes.includes(literal)) || bytes.includes(BACKSLASH);
  };
  return {
    mayBeAmong: (payloads) => hasBytes(viewOf(payloads)),
    fits: (payload) => {
      if (payload === null) return false;
      const bytes = viewOf(payload);
      return hasBytes(bytes) && (fields.length === 0 || hasFields(bytes, fields));
    },
  };
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

const BACKSLASH = 0x5c;

/**
 * Whether JSON without escapes has this value only where it has these characters. A number has other spellings, and bytes
 * that are no UTF-8 become U+FFFD.
 */
function isLiteral(value: string): boolean {
  return Number.isNaN(Number(value)) && !value.includes('\ufffd');
}

function hasFields(bytes: Buffer, fields: readonly FieldCriterion[]): boolean {
  const json = parseJson(bytes.toString());
  return fields.every(({ pointer, value }) => pointer.reduce(stepAll, [json]).some((there) => isValue(there, value)));
}

function stepAll(places: readonly unknown[], name: string): unknown[] {
  return places.flatMap((place) => step(place, name));
}

/**
 * What stands under a name: the member of an object, the element of an array, or in a list of `{"key", "value"}`, as
 * OpenTelemetry writes attributes, the values with that key.
 */
function step(place: unknown, name: string): unknown[] {
  const own = memberOf(place, name);
  if (own !== undefined) return [own];
  const json = unwrapped(place);
  if (json !== place) return step(json, name);
  if (!Array.isArray(json)) return [];
  return json.flatMap((element: unknown) => (memberOf(element, 'key') === name ? [memberOf(element, 'value')] : []));
}

const TYPED_VALUES = ['stringValue', 'boolValue', 'intValue', 'doubleValue', 'bytesValue'];

/** The value itself of an AnyValue of OpenTelemetry, such as `{"stringValue": "GET"}`; anything else as it is. */
function unwrapped(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const [name = '', ...others] = Object.keys(json);
  if (others.length > 0) return json;
  if (TYPED_VALUES.includes(name)) return memberOf(json, name);
  return name === 'arrayValue' || name === 'kvlistValue' ? (memberOf(memberOf(json, name), 'values') ?? []) : json;
}

/** What an object has of its own, or an array at an index; undefined for anything else. */
function memberOf(json: unknown, name: string): unknown {
  if (Array.isArray(json) && !/^\d+$/.test(name)) return undefined;
  return typeof json === 'object' && json !== null ? Object.getOwnPropertyDescriptor(json, name)?.value : undefined;
}

/** Whether this is the value, or an array with it. */
function isValue(place: unknown, value: string): boolean {
  const json = unwrapped(place);
  return Array.isArray(json) ? json.some((element) => isScalar(unwrapped(element), value)) : isScalar(json, value);
}

function isScalar(json: unknown, value: string): boolean {
  return json !== undefined && typeof json !== 'object' ? String(json) === value : json === null && value === 'null';
}
