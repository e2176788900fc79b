// CloudEvents 1.0 over HTTP (HTTP protocol binding 1.0.2, JSON event format 1.0.2). All three modes come to the same:
// one line of canonical JSON in the JSON event format.

import { excerpt, fromBase64, toBase64 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { checkEventCount, type EventDraft, eventDraft } from './event.ts';
import { canonicalJson, type Json, JsonNumber, JsonObject, readJson } from './json.ts';

export const STRUCTURED = 'application/cloudevents+json';
export const BATCH = 'application/cloudevents-batch+json';

/** @throws FormatError `json-invalid`, `cloudevent-invalid` */
export function readStructured(body: Uint8Array): EventDraft[] {
  return [cloudEvent(readJson(body), '')];
}

/** @throws FormatError `json-invalid`, `cloudevent-invalid`, `batch-too-large` */
export function readBatch(body: Uint8Array): EventDraft[] {
  const batch = readJson(body);
  if (!Array.isArray(batch)) throw invalid('a batch is a JSON array');
  checkEventCount(batch.length);
  return batch.map((event: Json, i) => cloudEvent(event, `[${i}]`));
}

/**
 * Binary mode: attributes in headers `ce-…`, data in the body.
 * @param headers names in lower case
 * @throws FormatError `json-invalid`, `cloudevent-invalid`
 */
export function readBinary(headers: Readonly<Record<string, string>>, body: Uint8Array): EventDraft[] {
  const members: [string, Json][] = [];
  for (const [header, value] of Object.entries(headers)) {
    if (header.startsWith('ce-')) members.push([header.slice(3), headerValue(value, header)]);
  }
  const type = headers['content-type'];
  if (members.some(([name]) => name === 'datacontenttype' || name === 'data' || name === 'data_base64')) {
    throw invalid('in binary mode Content-Type says what the data is, and the body is the data');
  }
  if (type !== undefined) members.push(['datacontenttype', type]);
  if (body.length > 0) members.push(dataMember(type ?? '', body));
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return [cloudEvent(new JsonObject(members), '')];
}

/** JSON as JSON, text as text, anything else in base64. */
function dataMember(type: string, body: Uint8Array): [string, Json] {
  const media = type.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (/[/+]json$/.test(media)) return ['data', readJson(body)];
  if (media.startsWith('text/')) {
    try {
      return ['data', new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)];
    } catch {
      // Text in another encoding: its bytes are what there is.
    }
  }
  return ['data_base64', toBase64(body)];
}

/** Section 3.1.3.2 of the HTTP binding: quotes off, then what is percent-encoded as UTF-8. */
function headerValue(text: string, header: string): string {
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/.exec(text) ?? [];
  const plain = quoted === undefined ? text : quoted.replace(/\\(.)/g, '$1');
  if (!/^[\x20-\x7e]*$/.test(plain)) throw invalid(`the header ${header} has bytes that must be percent-encoded`);
  try {
    return plain.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeURIComponent);
  } catch {
    throw invalid(`the header ${header} is not percent-encoded UTF-8`);
  }
}

function cloudEvent(event: Json, where: string): EventDraft {
  if (!(event instanceof JsonObject)) throw invalid(`${where || 'the event'} is no object`);
  // Null is how some writers say that an attribute is not there.
  const members = event.members.filter(([name, value]) => value !== null || name === 'data');
  const present = new JsonObject(members);
  if (present.get('specversion') !== '1.0') throw invalid(`${where}specversion is not "1.0"`);
  const source = required(present, 'source', where);
  const id = required(present, 'id', where);
  required(present, 'type', where);
  for (const [name, value] of members) checkMember(name, value, where);
  if (present.get('data') !== undefined && present.get('data_base64') !== undefined) {
    throw invalid(`${where}data and data_base64 exclude each other`);
  }
  return eventDraft(canonicalJson(present), ['cloudevents', source, id]);
}

function required(event: JsonObject, name: string, where: string): string {
  const value = event.get(name);
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`${where}${name} is no string, or empty`);
}

function checkMember(name: string, value: Json, where: string): void {
  if (name === 'data') return;
  if (name === 'data_base64') {
    if (typeof value !== 'string') throw invalid(`${where}data_base64 is no string`);
    fromBase64(value);
    return;
  }
  if (!/^[a-z0-9]{1,64}$/.test(name)) throw invalid(`${where}${excerpt(name)} is no name of an attribute`);
  const integer = value instanceof JsonNumber && /^-?\d{1,10}$/.test(value.text);
  if (typeof value !== 'string' && typeof value !== 'boolean' && !integer) {
    throw invalid(`${where}${name} is neither a string nor a boolean nor an integer`);
  }
}

function invalid(why: string): FormatError {
  return new FormatError('cloudevent-invalid', `not a CloudEvent 1.0: ${why}`);
}
