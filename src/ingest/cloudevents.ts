// CloudEvents 1.0 over HTTP (HTTP protocol binding 1.0.2, JSON event format 1.0.2). All three modes come to the same:
// one line of canonical JSON in the JSON event format.

import { concat, excerpt, fromBase64, toBase64 } from '../core/bytes.ts';
import { FormatError, parsed } from '../core/errors.ts';
import { checkEventCount, type EventBatch, type EventDraft, eventDraft, eventId } from './event.ts';
import { ItemFault } from './item-fault.ts';
import { canonicalJson, decodeUtf8, type Json, JsonNumber, JsonObject, readJson } from './json.ts';
import { JsonCursor } from './json-cursor.ts';
import { draftOrSetAside, setAside } from './set-aside.ts';

export const STRUCTURED = 'application/cloudevents+json';
export const BATCH = 'application/cloudevents-batch+json';

const SOURCE = 'cloudevents';

/** @throws FormatError `json-invalid`, `cloudevent-invalid` where it is no CloudEvent 1.0 at all */
export function readStructured(body: Uint8Array): EventBatch {
  const cursor = new JsonCursor(body);
  const item = cursor.value();
  cursor.end();
  return single(
    () => cloudEvent(structured(item)),
    () => item,
  );
}

/** @throws FormatError `json-invalid`; ItemFault */
function structured(item: Uint8Array): Json {
  try {
    return readJson(item);
  } catch (error) {
    if (!(error instanceof ItemFault && error.reason === 'not-json')) throw error;
    throw new FormatError('json-invalid', `the body is not JSON: ${error.message}`);
  }
}

/** @throws FormatError `json-invalid`, `cloudevent-invalid`, `batch-too-large` */
export function readBatch(body: Uint8Array): EventBatch {
  const cursor = new JsonCursor(body);
  if (!cursor.atArray) {
    cursor.value();
    cursor.end();
    throw invalid('a batch is a JSON array');
  }
  const items: Uint8Array[] = [];
  cursor.array(() => {
    items.push(cursor.value());
    checkEventCount(items.length);
  });
  cursor.end();
  return { drafts: drafts(items) };
}

/**
 * Binary mode: attributes in headers `ce-…`, data in the body.
 * @param headers names in lower case; each character of a value is a byte
 * @throws FormatError `cloudevent-invalid` where it is no CloudEvent 1.0 at all
 */
export function readBinary(headers: Readonly<Record<string, string>>, body: Uint8Array): EventBatch {
  return single(
    () => cloudEvent(binaryEvent(headers, body)),
    () => asItCame(headers, body),
  );
}

function* drafts(items: readonly Uint8Array[]): Generator<EventDraft> {
  for (const bytes of items) {
    yield draftOrSetAside(
      () => cloudEvent(readJson(bytes)),
      SOURCE,
      () => bytes,
    );
  }
}

/** A sender of one event that is no CloudEvent is told so; nothing else is lost by it. */
function single(make: () => EventDraft, bytes: () => Uint8Array): EventBatch {
  try {
    return { drafts: [make()] };
  } catch (error) {
    if (!(error instanceof ItemFault)) throw error;
    if (error.reason === 'not-an-event') throw invalid(error.message);
    return { drafts: [setAside(error.reason, SOURCE, bytes())] };
  }
}

/** @throws ItemFault */
function binaryEvent(headers: Readonly<Record<string, string>>, body: Uint8Array): JsonObject {
  const members: [string, Json][] = [];
  for (const [header, value] of Object.entries(headers)) {
    if (header.startsWith('ce-')) members.push([header.slice(3), headerValue(value, header)]);
  }
  if (members.some(([name]) => name === 'datacontenttype' || name === 'data' || name === 'data_base64')) {
    throw new ItemFault('header-invalid', 'Content-Type says what the data is, and the body is the data');
  }
  const type = headers['content-type'];
  if (type !== undefined) members.push(['datacontenttype', decodeUtf8(latin1(type))]);
  if (body.length > 0) members.push(dataMember(type ?? '', body));
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return new JsonObject(members);
}

/** The header fields of the event, an empty line and the body, as HTTP has them. */
function asItCame(headers: Readonly<Record<string, string>>, body: Uint8Array): Uint8Array {
  const fields = Object.entries(headers)
    .filter(([name]) => name.startsWith('ce-') || name === 'content-type')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return concat(latin1(`${fields.join('')}\r\n`), body);
}

/** JSON as JSON, text as text, anything else in base64. @throws ItemFault */
function dataMember(type: string, body: Uint8Array): [string, Json] {
  const media = type.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (/[/+]json$/.test(media)) return ['data', readJson(body)];
  if (media.startsWith('text/')) {
    try {
      return ['data', decodeUtf8(body)];
    } catch (error) {
      // Text in another encoding is kept as bytes.
      if (!(error instanceof ItemFault)) throw error;
    }
  }
  return ['data_base64', toBase64(body)];
}

/**
 * Section 3.1.3.2 of the HTTP binding: without quotes, percent-encoded UTF-8 decoded. Senders that do not encode, such as
 * the SDKs for Go and JavaScript, send UTF-8 as it is.
 * @throws ItemFault `header-invalid`
 */
function headerValue(value: string, header: string): string {
  try {
    const text = decodeUtf8(latin1(value));
    const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(text) ?? [];
    const plain = quoted === undefined ? text : quoted.replace(/\\(.)/g, '$1');
    return plain.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeURIComponent);
  } catch {
    throw new ItemFault('header-invalid', `the header ${header} is not UTF-8`);
  }
}

/** @throws ItemFault `not-an-event`, `value-invalid` */
function cloudEvent(event: Json): EventDraft {
  if (!(event instanceof JsonObject)) throw new ItemFault('not-an-event', 'the event is no object');
  // Some writers say by null that an attribute is absent.
  const members = event.members.filter(([name, value]) => value !== null || name === 'data');
  const present = new JsonObject(members);
  if (present.get('specversion') !== '1.0') throw new ItemFault('not-an-event', 'specversion is not "1.0"');
  const source = required(present, 'source');
  const id = required(present, 'id');
  required(present, 'type');
  for (const [name, value] of members) checkMember(name, value);
  if (present.get('data') !== undefined && present.get('data_base64') !== undefined) {
    throw new ItemFault('value-invalid', 'data and data_base64 exclude each other');
  }
  return eventDraft(canonicalJson(present), eventId('cloudevents', source, id));
}

function required(event: JsonObject, name: string): string {
  const value = event.get(name);
  if (typeof value === 'string' && value !== '') return value;
  throw new ItemFault('not-an-event', `${name} is no string, or empty`);
}

function checkMember(name: string, value: Json): void {
  if (name === 'data') return;
  if (name === 'data_base64') {
    if (typeof value !== 'string' || parsed(() => fromBase64(value)) === null)
      throw new ItemFault('value-invalid', 'data_base64 is no base64');
    return;
  }
  if (!/^[a-z0-9]{1,64}$/.test(name)) {
    throw new ItemFault('value-invalid', `${excerpt(name)} is no name of an attribute`);
  }
  const integer = value instanceof JsonNumber && /^-?\d{1,10}$/.test(value.text);
  if (typeof value !== 'string' && typeof value !== 'boolean' && !integer) {
    throw new ItemFault('value-invalid', `${name} is neither a string nor a boolean nor an integer`);
  }
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function invalid(why: string): FormatError {
  return new FormatError('cloudevent-invalid', `not a CloudEvent 1.0: ${why}`);
}
