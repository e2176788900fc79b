// Logs of the OpenTelemetry protocol (OTLP 1.x, logs/v1). JSON and protobuf come to the same: one line for each record, in
// the protocol's JSON encoding, with the resource and the scope it came under.

import { FormatError } from '../core/errors.ts';
import { checkEventCount, type EventDraft, eventDraft } from './event.ts';
import { canonicalOf } from './json.ts';

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

export interface Scope extends Resource {
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

export interface ScopeLogs {
  readonly scope?: Scope | undefined;
  readonly schemaUrl?: string | undefined;
  /** Text in place of a record says why it is none. */
  readonly logRecords: readonly (LogRecord | string)[];
}

export interface ResourceLogs {
  readonly resource?: Resource | undefined;
  readonly schemaUrl?: string | undefined;
  readonly scopeLogs: readonly ScopeLogs[];
}

/** Deeper than attributes go. */
export const MAX_NESTING = 32;

/** Resource and scope stand in every line, so a small body could become a large batch. */
const MAX_LINES_LENGTH = 32 << 20;

/** What a request came to. */
export interface OtlpBatch {
  readonly drafts: readonly EventDraft[];
  readonly rejected: number;
  /** Why the first of those was rejected; empty where none was. */
  readonly reason: string;
}

/** @throws FormatError `batch-too-large` */
export function otlpBatch(request: readonly ResourceLogs[]): OtlpBatch {
  const records = request.flatMap(({ scopeLogs, ...above }) =>
    scopeLogs.flatMap(({ logRecords, ...scope }) => logRecords.map((record) => ({ above, scope, record }))),
  );
  checkEventCount(records.length);
  const drafts: EventDraft[] = [];
  let length = 0;
  let rejected = 0;
  let reason = '';
  for (const { above, scope, record } of records) {
    if (typeof record === 'string') {
      rejected++;
      reason ||= record;
      continue;
    }
    const line = canonicalOf({
      resource: above.resource,
      resourceSchemaUrl: above.schemaUrl,
      scope: scope.scope,
      scopeSchemaUrl: scope.schemaUrl,
      logRecord: record,
    });
    length += line.length;
    if (length > MAX_LINES_LENGTH) {
      throw new FormatError(
        'batch-too-large',
        `the records with their resources have more than ${MAX_LINES_LENGTH} characters: send smaller batches`,
      );
    }
    drafts.push(eventDraft(line, null));
  }
  return { drafts, rejected, reason };
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
