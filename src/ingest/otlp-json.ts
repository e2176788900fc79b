import { concat, excerpt, fromBase64, toBase64, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { checkEventCount } from './event.ts';
import { ItemFault } from './item-fault.ts';
import { decimal, type Json, JsonNumber, JsonObject, readJson } from './json.ts';
import { JsonCursor } from './json-cursor.ts';
import {
  type AnyValue,
  absentIfEmpty,
  absentIfNone,
  absentIfNothing,
  absentIfZero,
  type InstrumentationScope,
  jsonDouble,
  type KeyValue,
  type LogRecord,
  MAX_NESTING,
  type OtlpRequest,
  otlpInvalid,
  type RecordPlace,
  type Resource,
  Rest,
} from './otlp.ts';

/**
 * An ExportLogsServiceRequest in JSON. Members that this release does not know are passed over, as the protocol asks.
 * @throws FormatError `json-invalid`, `otlp-invalid`, `batch-too-large`
 */
export function readOtlpJson(body: Uint8Array): OtlpRequest {
  const cursor = new JsonCursor(body);
  const records: RecordPlace[] = [];
  const top = new Rest();
  const names = readMembers(cursor, 'resourceLogs', () => {
    const above = top.next();
    readMembers(
      cursor,
      'scopeLogs',
      () => {
        const within = top.next();
        const context = { above, within };
        readMembers(
          cursor,
          'logRecords',
          () => {
            records.push({ context, bytes: cursor.value() });
            checkEventCount(records.length);
          },
          within,
        );
      },
      above,
    );
  });
  cursor.end();
  if (names.size > 0 && !names.has('resourceLogs')) {
    throw otlpInvalid('it has no resourceLogs; send metrics and traces elsewhere, and names in lowerCamelCase');
  }
  return {
    source: 'otlp-json',
    records,
    read: (bytes) => logRecord(object(readJson(bytes), 'a log record')),
    resource: (rest) => {
      const above = object(readJson(written(rest, '')), 'resourceLogs');
      return { resource: optional(above, 'resource', resource), schemaUrl: absentIfEmpty(text(above, 'schemaUrl')) };
    },
    scope: (rest) => {
      const within = object(readJson(written(rest, '')), 'scopeLogs');
      return { scope: optional(within, 'scope', scope), schemaUrl: absentIfEmpty(text(within, 'schemaUrl')) };
    },
    alone: ({ context: { above, within }, bytes }) =>
      written(new Rest(), 'resourceLogs', written(above, 'scopeLogs', written(within, 'logRecords', bytes))),
    timed: records.every(({ bytes }) => isTimed(bytes)),
  };
}

/**
 * Reads an object that has a list under one name: calls `element` at each element of the list, and puts the other members
 * into `rest`. Returns the names of all members.
 */
function readMembers(cursor: JsonCursor, list: string, element: () => void, rest?: Rest): Set<string> {
  if (!cursor.atObject) {
    cursor.value();
    throw otlpInvalid(`${list} belongs into an object`);
  }
  const names = new Set<string>();
  cursor.object((name, begin) => {
    if (name !== list) {
      cursor.value();
      rest?.add(cursor.since(begin));
    } else if (names.has(name)) throw otlpInvalid(`two members named ${list}`);
    else if (cursor.atArray) cursor.array(element);
    else if (!cursor.takesNull()) throw otlpInvalid(`${list} is no list`);
    names.add(name);
  });
  return names;
}

/** The object with its list of this one element; with neither name nor element: without the list. */
function written(rest: Rest, list: string, element?: Uint8Array): Uint8Array {
  const parts = rest.members.flatMap((member, i) => (i === 0 ? [member] : [utf8(','), member]));
  if (element !== undefined) parts.push(utf8(`${parts.length === 0 ? '' : ','}"${list}":[`), element, utf8(']'));
  return concat(utf8('{'), ...parts, utf8('}'));
}

/** Whether a record has a time or an observed time. */
function isTimed(record: Uint8Array): boolean {
  let timed = false;
  try {
    const cursor = new JsonCursor(record);
    cursor.object((name) => {
      const value = cursor.value();
      if (name !== 'timeUnixNano' && name !== 'observedTimeUnixNano') return;
      if (value.some((byte) => byte >= 0x31 && byte <= 0x39)) timed = true;
    });
  } catch (error) {
    // An item that is not even an object; it is set aside under an event id of its own.
    if (error instanceof FormatError) return true;
    throw error;
  }
  return timed;
}

function logRecord(record: JsonObject): LogRecord {
  return {
    timeUnixNano: absentIf('0', integer(record, 'timeUnixNano', 0n, 2n ** 64n)),
    observedTimeUnixNano: absentIf('0', integer(record, 'observedTimeUnixNano', 0n, 2n ** 64n)),
    severityNumber: absentIfZero(Number(integer(record, 'severityNumber', -(2n ** 31n), 2n ** 31n))),
    severityText: absentIfEmpty(text(record, 'severityText')),
    body: absentIfNothing(optional(record, 'body', (value) => anyValue(value, 0))),
    attributes: absentIfNone(keyValues(record, 'attributes', 0)),
    droppedAttributesCount: uint32(record, 'droppedAttributesCount'),
    flags: uint32(record, 'flags'),
    traceId: identifier(record, 'traceId', 16),
    spanId: identifier(record, 'spanId', 8),
    eventName: absentIfEmpty(text(record, 'eventName')),
  };
}

function resource(value: JsonObject): Resource {
  return {
    attributes: absentIfNone(keyValues(value, 'attributes', 0)),
    droppedAttributesCount: uint32(value, 'droppedAttributesCount'),
  };
}

function scope(value: JsonObject): InstrumentationScope {
  return {
    ...resource(value),
    name: absentIfEmpty(text(value, 'name')),
    version: absentIfEmpty(text(value, 'version')),
  };
}

function keyValues(value: JsonObject, name: string, depth: number): KeyValue[] {
  return objects(value, name).map((pair) => {
    const inner = absentIfNothing(optional(pair, 'value', (found) => anyValue(found, depth + 1)));
    return { key: text(pair, 'key'), ...(inner === undefined ? {} : { value: inner }) };
  });
}

function anyValue(value: JsonObject, depth: number): AnyValue {
  if (depth > MAX_NESTING) throw new ItemFault('too-deep', `values are nested deeper than ${MAX_NESTING}`);
  const known = value.members.filter(([name, inner]) => inner !== null && KINDS.has(name));
  const [first, second] = known;
  if (first === undefined) return {};
  if (second !== undefined) throw valueFault(`a value is both ${first[0]} and ${second[0]}`);
  const [kind, inner] = first;
  switch (kind) {
    case 'stringValue':
      return { stringValue: text(value, kind) };
    case 'boolValue':
      if (typeof inner === 'boolean') return { boolValue: inner };
      throw valueFault('a boolValue is no boolean');
    case 'intValue':
      return intValue(value);
    case 'doubleValue':
      return { doubleValue: double(inner) };
    case 'bytesValue':
      return { bytesValue: toBase64(bytesValue(text(value, kind))) };
    default: {
      if (!(inner instanceof JsonObject)) throw valueFault(`an ${kind} is no object`);
      if (kind === 'kvlistValue') {
        const values = absentIfNone(keyValues(inner, 'values', depth));
        return { kvlistValue: values === undefined ? {} : { values } };
      }
      const values = absentIfNone(objects(inner, 'values').map((element) => anyValue(element, depth + 1)));
      return { arrayValue: values === undefined ? {} : { values } };
    }
  }
}

const KINDS = new Set([
  'stringValue',
  'boolValue',
  'intValue',
  'doubleValue',
  'arrayValue',
  'kvlistValue',
  'bytesValue',
]);

function double(value: Json): number | 'NaN' | 'Infinity' | '-Infinity' {
  if (value instanceof JsonNumber) return jsonDouble(Number(value.text));
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return value;
  if (typeof value === 'string' && /^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(value)) return jsonDouble(Number(value));
  throw valueFault('a doubleValue is no number');
}

function optional<T>(value: JsonObject, name: string, read: (inner: JsonObject) => T): T | undefined {
  const inner = value.get(name);
  return inner === undefined || inner === null ? undefined : read(object(inner, name));
}

function objects(value: JsonObject, name: string): JsonObject[] {
  const inner = value.get(name);
  if (inner === undefined || inner === null) return [];
  if (!Array.isArray(inner)) throw valueFault(`${name} is no list`);
  return inner.map((element: Json) => object(element, `an element of ${name}`));
}

function object(value: Json, what: string): JsonObject {
  if (value instanceof JsonObject) return value;
  throw valueFault(`${what} is no object`);
}

function text(value: JsonObject, name: string): string {
  const inner = value.get(name);
  if (inner === undefined || inner === null) return '';
  if (typeof inner !== 'string') throw valueFault(`${name} is no string`);
  return inner;
}

/** The number or the string that a member is; undefined where it is absent or null. */
function written64(value: JsonObject, name: string): string | undefined {
  const inner = value.get(name);
  if (inner === undefined || inner === null) return undefined;
  const text = inner instanceof JsonNumber ? inner.text : inner;
  if (typeof text !== 'string') throw valueFault(`${name} is no number`);
  return text;
}

/** A whole number in [least, end), as a number or as a string; the encoding writes those of 64 bits as strings. */
function integer(value: JsonObject, name: string, least: bigint, end: bigint): string {
  const text = written64(value, name);
  if (text === undefined) return '0';
  const number = wholeNumber(text);
  if (number !== null && number >= least && number < end) return String(number);
  throw valueFault(`${name} is no whole number in its range`);
}

/** JavaScript's exporter writes whole doubles beyond 64 bits as intValue: they are doubles. */
function intValue(value: JsonObject): AnyValue {
  const text = written64(value, 'intValue') ?? '0';
  const number = wholeNumber(text);
  if (number !== null && number >= -(2n ** 63n) && number < 2n ** 63n) return { intValue: String(number) };
  const double = Number(text);
  if (!Number.isFinite(double)) throw valueFault('an intValue is no number');
  // As its digits are in full, or as JavaScript writes the double.
  const same = number !== null && (BigInt(double) === number || decimal(String(double)) === decimal(text));
  if (!same) {
    throw valueFault('an intValue is no whole number of 64 bits, and no double');
  }
  return { doubleValue: jsonDouble(double) };
}

/** Null for text that is no whole number, or one beyond all doubles. */
function wholeNumber(text: string): bigint | null {
  if (/^-?\d{1,20}$/.test(text)) return BigInt(text);
  if (!/^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(text)) return null;
  const [, digits = '', power = '0'] = /^(-?\d*)e?(-?\d*)$/.exec(decimal(text) ?? '') ?? [];
  const exponent = Number(power);
  if (digits === '' || digits === '-' || exponent < 0 || exponent > 400 || digits.length > 400) return null;
  return BigInt(digits) * 10n ** BigInt(exponent);
}

const uint32 = (value: JsonObject, name: string): number | undefined =>
  absentIfZero(Number(integer(value, name, 0n, 2n ** 32n)));

const absentIf = (nothing: string, found: string): string | undefined => (found === nothing ? undefined : found);

function identifier(value: JsonObject, name: string, bytes: number): string | undefined {
  const hex = text(value, name).toLowerCase();
  if (hex === '') return undefined;
  if (hex.length === 2 * bytes && /^[0-9a-f]+$/.test(hex)) return hex;
  throw new ItemFault('id-invalid', `${name} is not ${bytes} bytes of hex: ${excerpt(hex)}`);
}

/** The JSON encoding of protobuf takes base64 and base64url, padded or not. */
function bytesValue(text: string): Uint8Array {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  try {
    return fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='));
  } catch (error) {
    if (error instanceof FormatError) throw valueFault('a bytesValue is no base64');
    throw error;
  }
}

const valueFault = (message: string): ItemFault => new ItemFault('value-invalid', message);
