import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import { BATCH, readBatch, readBinary, readStructured, STRUCTURED } from '../ingest/cloudevents.ts';
import { type EventBatch, MAX_EVENT_BODY_BYTES } from '../ingest/event.ts';
import { readAuditEvents, readAuditFile } from '../ingest/kubernetes.ts';
import type { Log } from '../log/log.ts';
import type { Gate } from './access.ts';
import { admitAppend } from './admission.ts';
import type { Arrival, ProblemForm } from './arrival.ts';
import { type BodyBudget, bodyReader, mediaType } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { commitEvents, type Ingestion } from './event-commits.ts';
import { countForm, hashForm, originForm, timeForm } from './forms.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { tellIngestion, type Warnings } from './warnings.ts';

const ingested = z
  .object({
    log: originForm,
    count: countForm.meta({ description: 'Events that were new.' }),
    index: countForm.nullable().meta({ description: 'Of the first of those; null where there is none.' }),
    repeated: countForm.meta({ description: 'Events that the log held already, with this content.' }),
    setAside: countForm.meta({
      description: 'Of the new ones those that could not be made canonical; they are logged as they came, marked.',
    }),
    digestOnly: countForm.meta({ description: 'Of the new ones those over 1 MiB, logged by digest alone.' }),
    conflicting: countForm.meta({ description: 'Of the new ones those whose ids the log knew with other content.' }),
    digest: hashForm.nullable().meta({ description: 'Of the last new entry.' }),
    leafHash: hashForm.nullable().meta({ description: 'Of the last new entry.' }),
    receivedAt: timeForm.nullable(),
  })
  .meta({ id: 'Ingested' });

const EVENT_PROBLEMS = [
  'batch-too-large',
  'clock-skew',
  'database-set-back',
  'json-invalid',
  'log-not-found',
  'log-reserved',
] as const;

const statusForm = z
  .object({
    kind: z.literal('Status'),
    apiVersion: z.literal('v1'),
    metadata: z.object({}),
    status: z.literal('Failure'),
    message: z.string(),
    reason: z.string(),
    details: z.object({
      causes: z.array(
        z.object({ reason: z.string().meta({ description: 'The code of the problem.' }), message: z.string() }),
      ),
      retryAfterSeconds: countForm.optional(),
    }),
    code: z.int(),
  })
  .meta({ id: 'Status', description: '`metav1.Status` of Kubernetes.' });

const kubernetesOperation = described({
  id: 'ingestKubernetesAudit',
  tag: 'Append',
  summary: 'Events of the Kubernetes audit webhook',
  description:
    'An EventList of audit.k8s.io/v1, as `--audit-webhook-config-file` has the API server send it, or the lines of its audit ' +
    'file as `application/x-ndjson`. One entry for each event: its canonical JSON (docs/ingestion.md). An event is logged ' +
    'once, however often and in whichever batch it comes; an auditID and stage that comes with other content is an entry of ' +
    'its own, counted as `conflicting`. An event that cannot be made canonical is logged as it came, counted as `setAside`. ' +
    'At most 50,000 events and 64 MiB. Problems are `metav1.Status`, as clients of Kubernetes read them.',
  access: 'append',
  body: {
    'application/json': z.object({
      kind: z.literal('EventList'),
      apiVersion: z.literal('audit.k8s.io/v1'),
      items: z.array(z.looseObject({ auditID: z.string(), stage: z.string() })).max(50_000),
    }),
    'application/x-ndjson': 'text',
  },
  answers: { 200: jsonAnswer('All of it is durable.', ingested) },
  problems: [...EVENT_PROBLEMS, 'event-list-invalid'],
  problemsAs: { 'application/json': statusForm },
});

const cloudEvent = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: z.string().min(1),
    source: z.string().min(1),
    type: z.string().min(1),
  })
  .meta({ id: 'CloudEvent', description: 'A CloudEvent 1.0 in the JSON event format.' });

const cloudEventsOperation = described({
  id: 'ingestCloudEvents',
  tag: 'Append',
  summary: 'CloudEvents 1.0',
  description:
    'Structured, batched or binary (attributes in `ce-…` headers). One entry for each event: its JSON event format as ' +
    'canonical JSON. An event is logged once, however often it comes; a source and id that comes with other content is an ' +
    'entry of its own, counted as `conflicting`. An event that cannot be made canonical is logged as it came, counted as ' +
    '`setAside`. At most 50,000 events and 64 MiB. The answer has no body, as receivers of CloudEvents are asked to give ' +
    'none, unless `Prefer: return=representation` asks for one.',
  access: 'append',
  headers: z.object({ Prefer: z.string().optional().meta({ description: '`return=representation`' }) }),
  body: { [STRUCTURED]: cloudEvent, [BATCH]: z.array(cloudEvent).max(50_000), '*': 'bytes' },
  answers: { 200: jsonAnswer('All of it is durable.', ingested), 204: { says: 'All of it is durable.' } },
  problems: [...EVENT_PROBLEMS, 'cloudevent-invalid', 'media-type-unsupported'],
});

const handshakeOperation = described({
  id: 'allowCloudEvents',
  tag: 'Append',
  summary: 'The handshake of senders of CloudEvents',
  description:
    'Section 4 of HTTP 1.1 Web Hooks for Event Delivery. Any origin may send; its events need an API key all the same.',
  access: 'public',
  headers: z.object({ 'WebHook-Request-Origin': z.string().optional(), 'WebHook-Request-Rate': z.string().optional() }),
  answers: {
    204: {
      says: 'The sender may send.',
      headers: {
        'WebHook-Allowed-Origin': 'The origin that asked.',
        'WebHook-Allowed-Rate': '`*`: no limit beyond that of the API key.',
        Allow: 'The methods of the path.',
      },
    },
  },
});

/** Taking in events in the formats that their senders have; each event once. */
export function ingestRoutes(service: Service, gate: Gate, budget: BodyBudget, warnings: Warnings): Router {
  const readBody = bodyReader(MAX_EVENT_BODY_BYTES, budget);
  const ingest = async (
    request: Request,
    response: Response,
    arrival: Pick<Arrival, 'way' | 'form'>,
    readerFor: (request: Request) => (body: Uint8Array) => EventBatch & { readonly backfill?: boolean },
  ): Promise<z.input<typeof ingested>> => {
    const { log, key } = await admitAppend(request, response, service, gate, arrival);
    const read = readerFor(request);
    const { drafts, backfill = false } = read(await readBody(request, response));
    const held = backfill ? (digests: readonly Uint8Array[]) => service.entries.held(log, digests) : null;
    const ingestion = await commitEvents(service.appender, log, drafts, { held });
    tellIngestion(ingestion, { way: arrival.way, log: log.name, key }, service.operation.metrics, warnings);
    return view(log, ingestion);
  };

  return exactRouter()
    .post('/v1/logs/:log/ingest/kubernetes-audit', kubernetesOperation, async (request, response) => {
      const arrival = { way: 'kubernetes-audit', form: kubernetesStatus } as const;
      response.json(await ingest(request, response, arrival, auditReader));
    })
    .options('/v1/logs/:log/ingest/cloudevents', handshakeOperation, (request, response) => {
      const origin = request.get('webhook-request-origin');
      response.set('Allow', 'OPTIONS, POST');
      if (origin !== undefined) response.set('WebHook-Allowed-Origin', origin);
      if (request.get('webhook-request-rate') !== undefined) response.set('WebHook-Allowed-Rate', '*');
      response.status(204).end();
    })
    .post('/v1/logs/:log/ingest/cloudevents', cloudEventsOperation, async (request, response) => {
      const arrival = { way: 'cloudevents', form: null } as const;
      const answer = await ingest(request, response, arrival, cloudEventsReader);
      if (/(^|[,;\s])return=representation\b/i.test(request.get('prefer') ?? '')) response.json(answer);
      else response.status(204).end();
    });
}

function auditReader(request: Request): (body: Uint8Array) => EventBatch & { readonly backfill?: boolean } {
  if (mediaType(request) !== 'application/x-ndjson') return readAuditEvents;
  return (body) => ({ ...readAuditFile(body), backfill: true });
}

function cloudEventsReader(request: Request): (body: Uint8Array) => EventBatch {
  switch (mediaType(request)) {
    case STRUCTURED:
      return readStructured;
    case BATCH:
      return readBatch;
  }
  if (request.get('ce-specversion') === undefined) {
    throw new Problem(
      'media-type-unsupported',
      `send ${STRUCTURED}, ${BATCH}, or the attributes in headers, ce-specversion among them`,
    );
  }
  const headers = Object.entries(request.headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  );
  return (body) => readBinary(Object.fromEntries(headers), body);
}

function view(log: Log, ingestion: Ingestion): z.input<typeof ingested> {
  const { count, index, repeated, conflicting, digestOnly, last } = ingestion;
  return {
    log: log.origin,
    count,
    index,
    repeated,
    conflicting,
    setAside: [...ingestion.setAside.values()].reduce((sum, items) => sum + items, 0),
    digestOnly,
    digest: last === null ? null : toHex(last.digest),
    leafHash: last === null ? null : toHex(last.leafHash),
    receivedAt: last === null ? null : formatTime(last.receivedAt),
  };
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
};

/** The problem as `metav1.Status` of k8s.io/apimachinery, which clients of Kubernetes read. */
function kubernetesStatus({ status, code, message, headers }: Problem): ProblemForm {
  const after = headers['Retry-After'];
  const body: z.input<typeof statusForm> = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `${code}: ${message}`,
    reason: REASONS[status] ?? 'InternalError',
    details: {
      causes: [{ reason: code, message }],
      ...(after === undefined ? {} : { retryAfterSeconds: Number(after) }),
    },
    code: status,
  };
  return { type: 'application/json', body: JSON.stringify(body) };
}
