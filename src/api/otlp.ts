import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import { MAX_EVENT_BODY } from '../ingest/event.ts';
import { otlpBatch } from '../ingest/otlp.ts';
import { readOtlpJson } from '../ingest/otlp-json.ts';
import { readOtlpProtobuf, writeOtlpResponse, writeOtlpStatus } from '../ingest/otlp-protobuf.ts';
import { type Gate, ownerOf } from './access.ts';
import { admitAppend } from './admission.ts';
import { appendHeaders, idempotencyOf } from './append.ts';
import { type BodyBudget, bodyReader, mediaType } from './body.ts';
import { described } from './description.ts';
import { Problem, problemOf } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

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
        says: 'ExportLogsServiceResponse, in the encoding of the request. What is not rejected is durable.',
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

/** Taking in logs over OTLP/HTTP (section OTLP/HTTP of the OpenTelemetry protocol 1.x). */
export function otlpRoutes(service: Service, gate: Gate, budget: BodyBudget): Router {
  const readBody = bodyReader(MAX_EVENT_BODY, budget);

  const exportLogs = async (request: Request, response: Response): Promise<void> => {
    const type = mediaType(request);
    const { caller, log } = await admitAppend(request, service, gate);
    if (type !== PROTOBUF && type !== 'application/json') {
      throw new Problem('media-type-unsupported', `send logs as ${PROTOBUF} or application/json`);
    }
    const body = await readBody(request, response);
    const { drafts, rejected, reason } = otlpBatch(type === PROTOBUF ? readOtlpProtobuf(body) : readOtlpJson(body));
    const idempotency = idempotencyOf(request, ownerOf(caller), 'otlp', body);
    if (drafts.length > 0) await service.appender.append(log, { drafts, idempotency });
    if (rejected > 0) service.logger.warn({ log: log.name, rejected, reason }, 'log records were rejected');
    response.type(type);
    if (type === PROTOBUF) response.send(Buffer.from(writeOtlpResponse(rejected, reason)));
    else response.send(JSON.stringify(rejected === 0 ? {} : partialSuccess(rejected, reason)));
  };

  /** A sender of protobuf reads no problem: it is told the same as a google.rpc.Status. */
  const handler: RequestHandler = async (request, response) => {
    try {
      await exportLogs(request, response);
    } catch (error) {
      const problem = problemOf(error);
      if (mediaType(request) !== PROTOBUF || problem.status >= 500 || response.headersSent) throw error;
      response
        .status(problem.status)
        .set(problem.headers)
        .type(PROTOBUF)
        .send(Buffer.from(writeOtlpStatus(`${problem.code}: ${problem.message}`)));
    }
  };

  return exactRouter()
    .post(
      '/v1/logs/:log/ingest/otlp',
      otlpOperation(
        'ingestOtlp',
        'Logs over OTLP/HTTP',
        'One entry for each log record: the JSON encoding of it with its resource and scope, as canonical JSON ' +
          '(docs/ingestion.md), whichever encoding it came in. Records that are malformed are rejected by themselves.',
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

/** As the JSON encoding has it: integers of 64 bits are strings. */
function partialSuccess(rejected: number, reason: string): object {
  return { partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: reason } };
}
