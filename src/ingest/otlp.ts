// Logs of the OpenTelemetry protocol (OTLP 1.x, logs/v1). JSON and protobuf come to the same: one line for each record, in
// the protocol's JSON encoding, with the resource and the scope it came under.

import { FormatError } from '../core/errors.ts';
import { type EventBatch, type EventDraft, eventDraft } from './event.ts';
import { canonicalOf } from './json.ts';
import { draftOrSetAside } from './set-aside.ts';

/** Exactly one member, or none for a value that is empty. */
export type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  /** A 64-bit integer in decimal. */
  | { readonly intValue: string }
  | { readonly doubleValue: number | 'NaN' | 'Infinity' | '-Infinity' }
  | { readonly arrayValue: { readonly values?: readonly AnyValue[] } }
  | { readonly kvlistValue: { readonly values?: readonly KeyValue[] } }
  /** Base64. */
  | { readonly bytesValue: string }
  | Readonly<Record<string, never>>;

export interface KeyValue {
  readonly key: string;
  readonly value?: AnyValue;
}

export interface Resource {
  readonly attributes?: readonly KeyValue[] | undefined;
  readonly droppedAttributesCount?: number | undefined;
}

export interface InstrumentationScope extends Resource {
  readonly name?: string | undefined;
  readonly version?: string | undefined;
}

/** What is zero or empty is left out, as it cannot be told from what was not there. */
export interface LogRecord {
  /** Nanoseconds since the Unix epoch, in decimal. */
  readonly timeUnixNano?: string | undefined;
  readonly observedTimeUnixNano?: string | undefined;
  readonly severityNumber?: number | undefined;
  readonly severityText?: string | undefined;
  readonly body?: AnyValue | undefined;
  readonly attributes?: readonly KeyValue[] | undefined;
  readonly droppedAttributesCount?: number | undefined;
  readonly flags?: number | undefined;
  /** 16 bytes in lower-case hex. */
  readonly traceId?: string | undefined;
  /** 8 bytes in lower-case hex. */
  readonly spanId?: string | undefined;
  readonly eventName?: string | undefined;
}

/** No known exporter nests deeper. */
export const MAX_NESTING = 32;

/** Resource and scope stand in every line, so a small body could become very many bytes of lines. */
const MAX_LINES_BYTES = 256 << 20;

const MAX_MEMBERS = 1_000;
/** Of all messages of a request beside the records; each takes some hundred bytes to hold. */
const MAX_ALL_MEMBERS = 200_000;

/** What the records of one ScopeLogs have in common: the other members of its ResourceLogs, and its own. */
export interface RecordContext {
  readonly above: Rest;
  readonly within: Rest;
}

/** A record whose place in the request is known and whose content is not read yet. */
export interface RecordPlace {
  readonly context: RecordContext;
  readonly bytes: Uint8Array;
}

/** A message without one of its members, which is a list: the other members as they came. */
export class Rest {
  readonly members: Uint8Array[] = [];
  readonly #budget: { left: number };
  #size = 0;

  /** @param budget shared by all of a request; default: a new one */
  constructor(budget = { left: MAX_ALL_MEMBERS }) {
    this.#budget = budget;
  }

  /** Another message of the same request. */
  next(): Rest {
    return new Rest(this.#budget);
  }

  /** Bytes of all members. */
  get size(): number {
    return this.#size;
  }

  /** @throws FormatError `otlp-invalid` where there are more members than can be held */
  add(member: Uint8Array): void {
    if (this.members.length === MAX_MEMBERS || --this.#budget.left < 0) {
      throw otlpInvalid('more members beside the records than can be held: send smaller batches');
    }
    this.members.push(member);
    this.#size += member.length;
  }
}

/** An ExportLogsServiceRequest whose structure holds. */
export interface OtlpRequest {
  /** What set-aside lines of it name as their source. */
  readonly source: 'otlp-json' | 'otlp-protobuf';
  readonly records: readonly RecordPlace[];
  /** @throws ItemFault */
  readonly read: (record: Uint8Array) => LogRecord;
  /** By the members of a ResourceLogs. @throws ItemFault */
  readonly resource: (above: Rest) => { resource?: Resource | undefined; schemaUrl?: string | undefined };
  /** By the members of a ScopeLogs. @throws ItemFault */
  readonly scope: (within: Rest) => { scope?: InstrumentationScope | undefined; schemaUrl?: string | undefined };
  /** A request with this record alone, in the encoding it came in and with all that it came under. */
  readonly alone: (record: RecordPlace) => Uint8Array;
  /** Whether every record has a time or an observed time. */
  readonly timed: boolean;
}

/** @throws FormatError `batch-too-large` */
export function otlpBatch(request: OtlpRequest): EventBatch {
  const bytes = request.records.reduce(
    (sum, { context: { above, within }, bytes }) => sum + above.size + within.size + bytes.length,
    0,
  );
  if (bytes > MAX_LINES_BYTES) {
    throw new FormatError(
      'batch-too-large',
      `the records, each with its resource and scope, have more than ${MAX_LINES_BYTES} bytes: send smaller batches`,
    );
  }
  return { drafts: drafts(request) };
}

function* drafts(request: OtlpRequest): Generator<EventDraft> {
  let last: RecordContext | null = null;
  let text = (): string => '}';
  for (const record of request.records) {
    const { context, bytes } = record;
    if (last !== context) text = once(() => contextText(request, context));
    last = context;
    const after = text;
    yield draftOrSetAside(
      () => eventDraft(`{"logRecord":${canonicalOf(request.read(bytes))}${after()}`, null),
      request.source,
      () => request.alone(record),
    );
  }
}

/** What follows the record in a line: "logRecord" is the first name in the order of canonical JSON. */
function contextText(request: OtlpRequest, context: RecordContext): string {
  const { resource, schemaUrl: resourceSchemaUrl } = request.resource(context.above);
  const { scope, schemaUrl: scopeSchemaUrl } = request.scope(context.within);
  const text = canonicalOf({ resource, resourceSchemaUrl, scope, scopeSchemaUrl });
  return text === '{}' ? '}' : `,${text.slice(1)}`;
}

/** Calls `make` once, and gives its result, or throws its fault, each time. */
function once(make: () => string): () => string {
  let result: { readonly text: string } | { readonly fault: unknown } | null = null;
  return () => {
    if (result === null) {
      try {
        result = { text: make() };
      } catch (fault) {
        result = { fault };
      }
    }
    if ('fault' in result) throw result.fault;
    return result.text;
  };
}

export const absentIfEmpty = (text: string): string | undefined => (text === '' ? undefined : text);
export const absentIfZero = (number: number): number | undefined => (number === 0 ? undefined : number);
export const absentIfNone = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);

/** A value that is empty says no more than none: exporters write it the one way or the other. */
export const absentIfNothing = (value: AnyValue | undefined): AnyValue | undefined =>
  value === undefined || Object.keys(value).length === 0 ? undefined : value;

/** A double as the JSON encoding of protobuf has it. */
export function jsonDouble(value: number): number | 'NaN' | 'Infinity' | '-Infinity' {
  if (Number.isFinite(value)) return Object.is(value, -0) ? 0 : value;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

/** A request that is no ExportLogsServiceRequest. */
export function otlpInvalid(why: string): FormatError {
  return new FormatError('otlp-invalid', `not an OTLP ExportLogsServiceRequest: ${why}`);
}
