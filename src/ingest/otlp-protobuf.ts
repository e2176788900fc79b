// ExportLogsServiceRequest of opentelemetry/proto/collector/logs/v1 in protobuf: eight small messages, whose field numbers
// are written down where the fields are read.

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { concatAll, toBase64, toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { checkEventCount } from './event.ts';
import { checkItemSize, ItemFault } from './item-fault.ts';
import { decodeUtf8 } from './json.ts';
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

/** Of one record, or of the structure of a request. A field takes two bytes to send and some hundred to hold. */
const MAX_FIELDS = 1_000_000;

/**
 * An ExportLogsServiceRequest in protobuf. Fields that this release does not know are passed over.
 * @throws FormatError `otlp-invalid`, `batch-too-large`
 */
export function readOtlpProtobuf(body: Uint8Array): OtlpRequest {
  const records: RecordPlace[] = [];
  const top = new Rest();
  const budget = { left: MAX_FIELDS };
  try {
    splitMessage(body, 1, budget, (resourceLogs) => {
      const above = top.next();
      splitMessage(
        resourceLogs,
        2,
        budget,
        (scopeLogs) => {
          const within = top.next();
          const context = { above, within };
          splitMessage(
            scopeLogs,
            2,
            budget,
            (record) => {
              records.push({ context, bytes: record });
              checkEventCount(records.length);
            },
            within,
          );
        },
        above,
      );
    });
  } catch (error) {
    if (error instanceof FormatError) throw error;
    // The reader throws plain errors: a field cut short, a varint without an end.
    throw otlpInvalid('the protobuf is malformed');
  }
  return {
    source: 'otlp-protobuf',
    records,
    read: (record) => parsed(() => logRecord(Message.read(record))),
    resource: ({ members }) =>
      parsed(() => {
        const above = Message.read(concatAll(members));
        const resource = above.message(1);
        return {
          resource: resource === undefined ? undefined : resourceOf(resource, 1),
          schemaUrl: absentIfEmpty(above.string(3)),
        };
      }),
    scope: ({ members }) =>
      parsed(() => {
        const within = Message.read(concatAll(members));
        const scope = within.message(1);
        return {
          scope: scope === undefined ? undefined : scopeOf(scope),
          schemaUrl: absentIfEmpty(within.string(3)),
        };
      }),
    alone: ({ context: { above, within }, bytes }) =>
      lengthDelimited(
        1,
        concatAll([...above.members, lengthDelimited(2, concatAll([...within.members, lengthDelimited(2, bytes)]))]),
      ),
    timed: records.every(({ bytes }) => isTimed(bytes)),
  };
}

/** Calls `element` with the content of each message in field `list`, and puts the other fields into `rest`. */
function splitMessage(
  bytes: Uint8Array,
  list: number,
  budget: { left: number },
  element: (message: Uint8Array) => void,
  rest?: Rest,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    if (--budget.left < 0) throw otlpInvalid(`more than ${MAX_FIELDS} fields: send smaller batches`);
    const begin = reader.pos;
    const [number, type] = reader.tag();
    if (number === list && type === WireType.LengthDelimited) {
      element(reader.bytes());
      continue;
    }
    reader.skip(type, number, MAX_NESTING);
    rest?.add(bytes.subarray(begin, reader.pos));
  }
}

const lengthDelimited = (number: number, bytes: Uint8Array): Uint8Array =>
  new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();

/** @throws ItemFault for bytes that are no such message */
function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ItemFault) throw error;
    throw new ItemFault('not-protobuf', 'protobuf that is malformed');
  }
}

/** Whether a record has a time or an observed time. */
function isTimed(record: Uint8Array): boolean {
  try {
    const reader = new BinaryReader(record);
    let timed = false;
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      const raw = reader.skip(type, number, MAX_NESTING);
      if (type === WireType.Bit64 && (number === 1 || number === 11)) timed ||= raw.some((byte) => byte !== 0);
    }
    return timed;
  } catch {
    // It is set aside under an event id of its own.
    return true;
  }
}

/** @param first the field number of the attributes; the count of those dropped comes next */
function resourceOf(message: Message, first: 1 | 3): Resource {
  return {
    attributes: absentIfNone(message.messages(first).map((pair) => keyValue(pair, 0))),
    droppedAttributesCount: absentIfZero(message.uint32(first + 1)),
  };
}

function scopeOf(message: Message): InstrumentationScope {
  return {
    name: absentIfEmpty(message.string(1)),
    version: absentIfEmpty(message.string(2)),
    ...resourceOf(message, 3),
  };
}

function logRecord(message: Message): LogRecord {
  const body = message.message(5);
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
  if (bytes.length !== 0 && bytes.length !== size) throw new ItemFault('id-invalid', `a ${name} has not ${size} bytes`);
  return absentIfEmpty(toHex(bytes));
}

function keyValue(message: Message, depth: number): KeyValue {
  const sent = message.message(2);
  const value = sent === undefined ? undefined : absentIfNothing(anyValue(sent, depth + 1));
  return { key: message.string(1), ...(value === undefined ? {} : { value }) };
}

function anyValue(message: Message, depth: number): AnyValue {
  if (depth > MAX_NESTING) throw new ItemFault('too-deep', `values are nested deeper than ${MAX_NESTING}`);
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
      const values = absentIfNone(
        (message.message(5)?.messages(1) ?? []).map((element) => anyValue(element, depth + 1)),
      );
      return { arrayValue: values === undefined ? {} : { values } };
    }
    case 6: {
      const values = absentIfNone((message.message(6)?.messages(1) ?? []).map((pair) => keyValue(pair, depth)));
      return { kvlistValue: values === undefined ? {} : { values } };
    }
    case 7:
      return { bytesValue: toBase64(message.bytes(7)) };
    default:
      return {};
  }
}

/** A message split into its fields; each is decoded when it is asked for. @throws ItemFault, and plain errors of the reader */
class Message {
  readonly #fields: readonly { number: number; type: WireType; raw: Uint8Array }[];
  readonly #budget: { left: number };

  /** @throws ItemFault `too-large` */
  static read(bytes: Uint8Array): Message {
    checkItemSize(bytes);
    return new Message(bytes, { left: MAX_FIELDS });
  }

  private constructor(bytes: Uint8Array, budget: { left: number }) {
    const reader = new BinaryReader(bytes);
    const fields: { number: number; type: WireType; raw: Uint8Array }[] = [];
    while (reader.pos < reader.len) {
      if (--budget.left < 0) throw new ItemFault('too-many-values', `more than ${MAX_FIELDS} fields`);
      const [number, type] = reader.tag();
      fields.push({ number, type, raw: reader.skip(type, number, MAX_NESTING) });
    }
    this.#fields = fields;
    this.#budget = budget;
  }

  messages(number: number): Message[] {
    return this.#all(number, WireType.LengthDelimited).map((reader) => new Message(reader.bytes(), this.#budget));
  }

  /** The last counts. */
  message(number: number): Message | undefined {
    return this.messages(number).at(-1);
  }

  /** Which of these fields comes last; undefined where there is none. */
  last(numbers: readonly number[]): number | undefined {
    return this.#fields.findLast(({ number }) => numbers.includes(number))?.number;
  }

  string = (number: number): string => decodeUtf8(this.bytes(number));
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

/** ExportLogsServiceResponse, with its partial_success where there is something to say. */
export function writeOtlpResponse(rejected: number, message: string): Uint8Array {
  const writer = new BinaryWriter();
  if (message !== '') {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.Varint).int64(rejected).tag(2, WireType.LengthDelimited).string(message);
    writer.join();
  }
  return writer.finish();
}

/** google.rpc.Status without details: what OTLP answers a failure with. */
export function writeOtlpStatus(message: string): Uint8Array {
  return new BinaryWriter().tag(2, WireType.LengthDelimited).string(message).finish();
}
