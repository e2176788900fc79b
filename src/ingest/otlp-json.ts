import { excerpt, fromBase64, toBase64 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { type Json, JsonNumber, JsonObject, readJson } from './json.ts';
import {
  type AnyValue,
  absentIfEmpty,
  absentIfNone,
  absentIfNothing,
  absentIfZero,
  jsonDouble,
  type KeyValue,
  type LogRecord,
  MAX_NESTING,
  otlpInvalid,
  type Resource,
  type ResourceLogs,
  type Scope,
  type ScopeLogs,
} from './otlp.ts';

/**
 * An ExportLogsServiceRequest in JSON. Members that this release does not know are passed over, as the protocol asks.
 * @throws FormatError `json-invalid`, `otlp-invalid`
 */
export function readOtlpJson(body: Uint8Array): ResourceLogs[] {
  const request = readJson(body);
  if (!(request instanceof JsonObject)) throw otlpInvalid('it is no object');
  return objects(request, 'resourceLogs').map((above) => ({
    resource: optional(above, 'resource', resource),
    schemaUrl: absentIfEmpty(text(above, 'schemaUrl')),
    scopeLogs: objects(above, 'scopeLogs').map(
      (scopes): ScopeLogs => ({
        scope: optional(scopes, 'scope', scope),
        schemaUrl: absentIfEmpty(text(scopes, 'schemaUrl')),
        logRecords: objects(scopes, 'logRecords').map(recordOrReason),
      }),
    ),
  }));
}

/** A fault in one record is no reason to refuse the others. */
function recordOrReason(record: JsonObject): LogRecord | string {
  try {
    return logRecord(record);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    throw error;
  }
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

function scope(value: JsonObject): Scope {
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
  if (depth > MAX_NESTING) throw otlpInvalid(`values are nested deeper than ${MAX_NESTING}`);
  const known = value.members.filter(([name, inner]) => inner !== null && KINDS.has(name));
  const [first, second] = known;
  if (first === undefined) return {};
  if (second !== undefined) throw otlpInvalid(`a value is both ${first[0]} and ${second[0]}`);
  const [kind, inner] = first;
  switch (kind) {
    case 'stringValue':
      return { stringValue: text(value, kind) };
    case 'boolValue':
      if (typeof inner === 'boolean') return { boolValue: inner };
      throw otlpInvalid('a boolValue is no boolean');
    case 'intValue':
      return { intValue: integer(value, kind, -(2n ** 63n), 2n ** 63n) };
    case 'doubleValue':
      return { doubleValue: double(inner) };
    case 'bytesValue':
      return { bytesValue: toBase64(fromBase64(text(value, kind))) };
    default: {
      if (!(inner instanceof JsonObject)) throw otlpInvalid(`an ${kind} is no object`);
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
  throw otlpInvalid('a doubleValue is no number');
}

function optional<T>(value: JsonObject, name: string, read: (inner: JsonObject) => T): T | undefined {
  const inner = value.get(name);
  if (inner === undefined || inner === null) return undefined;
  if (!(inner instanceof JsonObject)) throw otlpInvalid(`${name} is no object`);
  return read(inner);
}

function objects(value: JsonObject, name: string): JsonObject[] {
  const inner = value.get(name);
  if (inner === undefined || inner === null) return [];
  if (!Array.isArray(inner)) throw otlpInvalid(`${name} is no list`);
  return inner.map((element: Json) => {
    if (!(element instanceof JsonObject)) throw otlpInvalid(`${name} holds something other than objects`);
    return element;
  });
}

function text(value: JsonObject, name: string): string {
  const inner = value.get(name);
  if (inner === undefined || inner === null) return '';
  if (typeof inner !== 'string') throw otlpInvalid(`${name} is no string`);
  return inner.toWellFormed();
}

/** A whole number in [least, end), as a number or as a string, which is how the encoding has those of 64 bits. */
function integer(value: JsonObject, name: string, least: bigint, end: bigint): string {
  const inner = value.get(name);
  if (inner === undefined || inner === null) return '0';
  const written = inner instanceof JsonNumber ? inner.text : inner;
  if (typeof written === 'string' && /^-?\d{1,20}$/.test(written)) {
    const number = BigInt(written);
    if (number >= least && number < end) return String(number);
  }
  throw otlpInvalid(`${name} is no whole number in its range`);
}

const uint32 = (value: JsonObject, name: string): number | undefined =>
  absentIfZero(Number(integer(value, name, 0n, 2n ** 32n)));

const absentIf = (nothing: string, found: string): string | undefined => (found === nothing ? undefined : found);

function identifier(value: JsonObject, name: string, bytes: number): string | undefined {
  const hex = text(value, name).toLowerCase();
  if (hex === '') return undefined;
  if (hex.length === 2 * bytes && /^[0-9a-f]+$/.test(hex)) return hex;
  throw otlpInvalid(`${name} is not ${bytes} bytes of hex: ${excerpt(hex)}`);
}
