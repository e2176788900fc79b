// ExportLogsServiceRequest of opentelemetry/proto/collector/logs/v1 in protobuf: eight small messages, whose field numbers
// are written down where the fields are read.

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { toBase64, toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
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
} from './otlp.ts';

/** A field takes two bytes to send and some hundred to hold. */
const MAX_FIELDS = 1_000_000;

/**
 * An ExportLogsServiceRequest in protobuf. Fields that this release does not know are passed over.
 * @throws FormatError `otlp-invalid`
 */
export function readOtlpProtobuf(body: Uint8Array): ResourceLogs[] {
  try {
    return Message.read(body).messages(1).map(resourceLogs);
  } catch (error) {
    if (error instanceof FormatError) throw error;
    // The reader throws plain errors: a field cut short, a varint without an end, a string that is not UTF-8.
    throw otlpInvalid('the protobuf is malformed');
  }
}

function resourceLogs(message: Message): ResourceLogs {
  const [resource] = message.messages(1).slice(-1);
  return {
    resource: resource === undefined ? undefined : resourceOf(resource, 1),
    scopeLogs: message.messages(2).map((scopes) => {
      const [scope] = scopes.messages(1).slice(-1);
      return {
        scope: scope === undefined ? undefined : scopeOf(scope),
        logRecords: scopes.messages(2).map(recordOrReason),
        schemaUrl: absentIfEmpty(scopes.string(3)),
      };
    }),
    schemaUrl: absentIfEmpty(message.string(3)),
  };
}

/** @param first the field number of the attributes; the count of those dropped comes next */
function resourceOf(message: Message, first: 1 | 3): Resource {
  return {
    attributes: absentIfNone(message.messages(first).map((pair) => keyValue(pair, 0))),
    droppedAttributesCount: absentIfZero(message.uint32(first + 1)),
  };
}

function scopeOf(message: Message): Scope {
  return {
    name: absentIfEmpty(message.string(1)),
    version: absentIfEmpty(message.string(2)),
    ...resourceOf(message, 3),
  };
}

/** What is wrong with one record is no reason to refuse the others; what is wrong with the encoding is. */
class RecordFault extends Error {}

function recordOrReason(message: Message): LogRecord | string {
  try {
    return logRecord(message);
  } catch (error) {
    if (error instanceof RecordFault) return error.message;
    throw error;
  }
}

function logRecord(message: Message): LogRecord {
  const [body] = message.messages(5).slice(-1);
  return {
    timeUnixNano: message.fixed64(1),
    severityNumber: absentIfZero(message.int32(2)),
    severityText: absentIfEmpty(message.string(3)),
    body: body === undefined ? undefined : absentIfNothing(anyValue(body, 0)),
    attributes: absentIfNone(message.messages(6).map((pair) => keyValue(pair, 0))),
    droppedAttributesCount: absentIfZero(message.uint32(7)),
    flags: absentIfZero(message.fixed32(8)),
    traceId: identifier(message.bytes(9), 'traceId', 16),
    spanId: identifier(message.bytes(10), 'spanId', 8),
    observedTimeUnixNano: message.fixed64(11),
    eventName: absentIfEmpty(message.string(12)),
  };
}

function identifier(bytes: Uint8Array, name: string, size: number): string | undefined {
  if (bytes.length !== 0 && bytes.length !== size) throw new RecordFault(`a ${name} has not ${size} bytes`);
  return absentIfEmpty(toHex(bytes));
}

function keyValue(message: Message, depth: number): KeyValue {
  const [sent] = message.messages(2).slice(-1);
  const value = sent === undefined ? undefined : absentIfNothing(anyValue(sent, depth + 1));
  return { key: message.string(1), ...(value === undefined ? {} : { value }) };
}

function anyValue(message: Message, depth: number): AnyValue {
  if (depth > MAX_NESTING) throw new RecordFault(`values are nested deeper than ${MAX_NESTING}`);
  // Of a oneof the last one counts.
  switch (message.last([1, 2, 3, 4, 5, 6, 7])) {
    case 1:
      return { stringValue: message.string(1) };
    case 2:
      return { boolValue: message.bool(2) };
    case 3:
      return { intValue: message.int64(3) };
    case 4:
      return { doubleValue: jsonDouble(message.double(4)) };
    case 5: {
      const [list] = message.messages(5).slice(-1);
      const values = absentIfNone((list?.messages(1) ?? []).map((element) => anyValue(element, depth + 1)));
      return { arrayValue: values === undefined ? {} : { values } };
    }
    case 6: {
      const [list] = message.messages(6).slice(-1);
      const values = absentIfNone((list?.messages(1) ?? []).map((pair) => keyValue(pair, depth)));
      return { kvlistValue: values === undefined ? {} : { values } };
    }
    case 7:
      return { bytesValue: toBase64(message.bytes(7)) };
    default:
      return {};
  }
}

/** A message taken apart into its fields, each as it stands in the bytes; what a field is, is said when it is asked for. */
class Message {
  readonly #fields: readonly { number: number; type: WireType; raw: Uint8Array }[];
  readonly #budget: { left: number };

  static read(bytes: Uint8Array): Message {
    return new Message(bytes, { left: MAX_FIELDS });
  }

  private constructor(bytes: Uint8Array, budget: { left: number }) {
    const reader = new BinaryReader(bytes);
    const fields: { number: number; type: WireType; raw: Uint8Array }[] = [];
    while (reader.pos < reader.len) {
      if (--budget.left < 0) throw otlpInvalid(`more than ${MAX_FIELDS} fields: send smaller batches`);
      const [number, type] = reader.tag();
      fields.push({ number, type, raw: reader.skip(type, number, MAX_NESTING) });
    }
    this.#fields = fields;
    this.#budget = budget;
  }

  messages(number: number): Message[] {
    return this.#all(number, WireType.LengthDelimited).map((reader) => new Message(reader.bytes(), this.#budget));
  }

  /** Which of these fields comes last; undefined: none is there. */
  last(numbers: readonly number[]): number | undefined {
    return this.#fields.findLast(({ number }) => numbers.includes(number))?.number;
  }

  string = (number: number): string => this.#one(number, WireType.LengthDelimited)?.string(true) ?? '';
  bytes = (number: number): Uint8Array => this.#one(number, WireType.LengthDelimited)?.bytes() ?? new Uint8Array(0);
  bool = (number: number): boolean => this.#one(number, WireType.Varint)?.bool() ?? false;
  int32 = (number: number): number => this.#one(number, WireType.Varint)?.int32() ?? 0;
  uint32 = (number: number): number => this.#one(number, WireType.Varint)?.uint32() ?? 0;
  int64 = (number: number): string => String(this.#one(number, WireType.Varint)?.int64() ?? 0);
  double = (number: number): number => this.#one(number, WireType.Bit64)?.double() ?? 0;
  fixed32 = (number: number): number => this.#one(number, WireType.Bit32)?.fixed32() ?? 0;
  /** Undefined where it is zero. */
  fixed64 = (number: number): string | undefined => {
    const text = String(this.#one(number, WireType.Bit64)?.fixed64() ?? 0);
    return text === '0' ? undefined : text;
  };

  #all(number: number, type: WireType): BinaryReader[] {
    return this.#fields
      .filter((field) => field.number === number && field.type === type)
      .map(({ raw }) => new BinaryReader(raw));
  }

  #one(number: number, type: WireType): BinaryReader | undefined {
    const field = this.#fields.findLast((other) => other.number === number && other.type === type);
    return field === undefined ? undefined : new BinaryReader(field.raw);
  }
}

/** ExportLogsServiceResponse, with its partial_success where something was rejected. */
export function writeOtlpResponse(rejected: number, reason: string): Uint8Array {
  const writer = new BinaryWriter();
  if (rejected > 0) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).int64(rejected).tag(2, WireType.LengthDelimited).string(reason);
    writer.join();
  }
  return writer.finish();
}

/** google.rpc.Status without details, which OTLP has a failure say. */
export function writeOtlpStatus(message: string): Uint8Array {
  return new BinaryWriter().tag(2, WireType.LengthDelimited).string(message).finish();
}
