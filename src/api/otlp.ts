import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { toHex } from '../core/bytes.ts';
import { MAX_EVENT_BODY_BYTES } from '../ingest/event.ts';
import { otlpBatch } from '../ingest/otlp.ts';
import { readOtlpJson } from '../ingest/otlp-json.ts';
import { readOtlpProtobuf, writeOtlpResponse, writeOtlpStatus } from '../ingest/otlp-protobuf.ts';
import type { Idempotency } from '../log/log.ts';
import { forgetKeys } from '../log/replay.ts';
import { type Gate, ownerOf } from './access.ts';
import { admitAppend } from './admission.ts';
import { appendHeaders, idempotencyOf } from './append.ts';
import type { ProblemForm } from './arrival.ts';
import { type BodyBudget, bodyReader, mediaType } from './body.ts';
import { described } from './description.ts';
import { type CommitKeys, commitEvents, type Ingestion } from './event-commits.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { tellIngestion, type Warnings } from './warnings.ts';

const PROTOBUF = 'application/x-protobuf';

const otlpOperation = (id: string, summary: string, description: string): RequestHandler =>
  described({
    id,
    tag: 'Append',
    summary,
    description,
    access: 'append',
    headers: appendHeaders,
    body: {
      'application/json': z.looseObject({ resourceLogs: z.array(z.looseObject({})).optional() }),
      [PROTOBUF]: 'bytes',
    },
    answers: {
      200: {
        says:
          'ExportLogsServiceResponse, in the encoding of the request. All of it is durable. `partialSuccess` tells of records ' +
          'that were set aside; rejected are those of which only SHA-256 and length were logged.',
        content: {
          'application/json': z.object({
            partialSuccess: z.object({ rejectedLogRecords: z.string(), errorMessage: z.string() }).optional(),
          }),
          [PROTOBUF]: 'bytes',
        },
      },
    },
    problems: [
      'batch-too-large',
      'clock-skew',
      'database-set-back',
      'entry-erased',
      'idempotency-key-in-flight',
      'idempotency-key-invalid',
      'idempotency-key-reused',
      'json-invalid',
      'log-not-found',
      'log-reserved',
      'media-type-unsupported',
      'otlp-invalid',
    ],
    problemsAs: { [PROTOBUF]: 'bytes' },
  });

/** Milliseconds within which a body that comes again is taken for one that was not answered. */
const REPEAT_LIFETIME_MS = 10 * 60_000;

/** Taking in logs over OTLP/HTTP (section OTLP/HTTP of the OpenTelemetry protocol 1.x). */
export function otlpRoutes(service: Service, gate: Gate, budget: BodyBudget, warnings: Warnings): Router {
  const readBody = bodyReader(MAX_EVENT_BODY_BYTES, budget);

  const handler: RequestHandler = async (request, response) => {
    const type = mediaType(request);
    const form = type === PROTOBUF ? protobufStatus : null;
    const { caller, log, key } = await admitAppend(request, response, service, gate, { way: 'otlp', form });
    if (type !== PROTOBUF && type !== 'application/json') {
      throw new Problem('media-type-unsupported', `send logs as ${PROTOBUF} or application/json`);
    }
    const body = await readBody(request, response);
    const read = type === PROTOBUF ? readOtlpProtobuf(body) : readOtlpJson(body);
    const { drafts } = otlpBatch(read);
    const owner = ownerOf(caller);
    const asked = idempotencyOf(request, owner, 'otlp', body);
    const keys = asked === null ? new BodyKeys(owner, body, read.timed) : senderKeys(asked);
    const ingestion = await commitEvents(service.appender, log, drafts, { keys });
    if (keys instanceof BodyKeys && keys.forgotten.length > 0) {
      await forgetKeys(service.database, log, owner, keys.forgotten).catch((error: unknown) => {
        // All of it is logged; the same body within ten minutes is taken for a repeat.
        service.logger.warn({ err: error }, 'the progress of a request stays');
      });
    }
    tellIngestion(ingestion, { way: 'otlp', log: log.name, key }, service.operation.metrics, warnings);
    const message = oddMessage(ingestion);
    response.type(type);
    if (type === PROTOBUF) response.send(Buffer.from(writeOtlpResponse(ingestion.unkept, message)));
    else response.send(JSON.stringify(message === '' ? {} : partialSuccess(ingestion.unkept, message)));
  };

  return exactRouter()
    .post(
      '/v1/logs/:log/ingest/otlp',
      otlpOperation(
        'ingestOtlp',
        'Logs over OTLP/HTTP',
        'One entry for each log record: the JSON encoding of it with its resource and scope, as canonical JSON ' +
          '(docs/ingestion.md), whichever encoding it came in. A record that cannot be made canonical is logged as it came. At ' +
          'most 50,000 records and 64 MiB. A body that comes again within ten minutes is logged once, where all its records ' +
          'have a time.',
      ),
      handler,
    )
    .post(
      '/v1/logs/:log/ingest/otlp/v1/logs',
      otlpOperation(
        'ingestOtlpAtBase',
        'The same for exporters that are given a base URL',
        'Where `OTEL_EXPORTER_OTLP_ENDPOINT` ends in `/ingest/otlp`, exporters append `/v1/logs`.',
      ),
      handler,
    );
}

/** The commits of a request with an Idempotency-Key. The space keeps their names apart from all keys of senders. */
function senderKeys(asked: Idempotency): CommitKeys {
  return { key: (part) => (part === 0 ? asked : { ...asked, key: `${asked.key} part ${part}` }), waits: false };
}

/**
 * The commits of a request without an Idempotency-Key. Log records have no id, and an exporter that got no answer sends its
 * body again: a body whose records all have a time is the same one. Other bodies could be new: of them only the progress is
 * remembered, until the last commit.
 */
class BodyKeys implements CommitKeys {
  readonly waits = true;
  readonly #owner: string;
  readonly #requestHash: Uint8Array;
  readonly #timed: boolean;
  #parts = 0;

  constructor(owner: string, body: Uint8Array, timed: boolean) {
    this.#owner = owner;
    this.#requestHash = sha256(body);
    this.#timed = timed;
  }

  key(part: number, more: boolean): Idempotency | null {
    if (!this.#timed && part === 0 && !more) return null;
    this.#parts = part + 1;
    const requestHash = this.#requestHash;
    return { owner: this.#owner, key: this.#name(part), requestHash, lifetime: REPEAT_LIFETIME_MS };
  }

  /** What must not be taken for a repeat now that all of it is logged. */
  get forgotten(): string[] {
    return this.#timed ? [] : Array.from({ length: this.#parts }, (_, part) => this.#name(part));
  }

  #name(part: number): string {
    return `otlp body ${toHex(this.#requestHash)} part ${part}`;
  }
}

/** What the answer says of records that were set aside; empty where none was. */
function oddMessage({ odd }: Ingestion): string {
  const counts = [...odd].map(([reason, records]) => `${records} ${reason}`);
  return counts.length === 0 ? '' : `records were logged as they came, marked as set aside: ${counts.join(', ')}`;
}

/** Senders of protobuf read no problem: they get the same as a google.rpc.Status. */
function protobufStatus({ code, message }: Problem): ProblemForm {
  return { type: PROTOBUF, body: writeOtlpStatus(`${code}: ${message}`) };
}

/** In the JSON encoding of protobuf integers of 64 bits are strings. */
function partialSuccess(rejected: number, message: string): object {
  return { partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: message } };
}
