import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import { BATCH, readBatch, readBinary, readStructured, STRUCTURED } from '../ingest/cloudevents.ts';
import { type EventDraft, MAX_EVENT_BODY } from '../ingest/event.ts';
import { readAuditEvents } from '../ingest/kubernetes.ts';
import type { Log, Logged } from '../log/log.ts';
import type { Gate } from './access.ts';
import { admitAppend } from './admission.ts';
import { type BodyBudget, bodyReader, mediaType } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, hashForm, originForm, timeForm } from './forms.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const ingested = z
  .object({
    log: originForm,
    count: countForm.meta({ description: 'Events that were new.' }),
    index: countForm.nullable().meta({ description: 'Of the first of those; null where none was.' }),
    repeated: countForm.meta({ description: 'Events that stood in the log already, with this content.' }),
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

const kubernetesOperation = described({
  id: 'ingestKubernetesAudit',
  tag: 'Append',
  summary: 'Events of the Kubernetes audit webhook',
  description:
    'An EventList of audit.k8s.io/v1, as `--audit-webhook-config-file` has the API server send it. One entry for each event: ' +
    'its canonical JSON (docs/ingestion.md). An event is logged once, however often and in whichever batch it comes; an ' +
    'auditID and stage that comes with other content is an entry of its own, and counted as `conflicting`.',
  access: 'append',
  body: {
    'application/json': z.object({
      kind: z.literal('EventList'),
      apiVersion: z.literal('audit.k8s.io/v1'),
      items: z.array(z.looseObject({ auditID: z.string(), stage: z.string() })).max(10_000),
    }),
  },
  answers: { 200: jsonAnswer('All of it is durable.', ingested) },
  problems: [...EVENT_PROBLEMS, 'event-list-invalid'],
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
    'entry of its own, and counted as `conflicting`. The answer has no body, as receivers of CloudEvents are asked to give ' +
    'none, unless `Prefer: return=representation` asks for one.',
  access: 'append',
  headers: z.object({ Prefer: z.string().optional().meta({ description: '`return=representation`' }) }),
  body: { [STRUCTURED]: cloudEvent, [BATCH]: z.array(cloudEvent).max(10_000), '*': 'bytes' },
  answers: { 200: jsonAnswer('All of it is durable.', ingested), 204: { says: 'All of it is durable.' } },
  problems: [...EVENT_PROBLEMS, 'base64-invalid', 'cloudevent-invalid', 'media-type-unsupported'],
});

/** Taking in events in the formats that their senders have; each event once. */
export function ingestRoutes(service: Service, gate: Gate, budget: BodyBudget): Router {
  const readBody = bodyReader(MAX_EVENT_BODY, budget);
  const ingest = async (
    request: Request,
    response: Response,
    readerFor: (request: Request) => (body: Uint8Array) => EventDraft[],
  ): Promise<z.input<typeof ingested>> => {
    const { log } = await admitAppend(request, service, gate);
    const read = readerFor(request);
    const drafts = read(await readBody(request, response));
    if (drafts.length === 0) return view(log, { appended: null, repeats: { count: 0, conflicting: 0 } });
    const logged = await service.appender.appendEvents(log, drafts);
    if (logged.repeats.conflicting > 0) {
      const { conflicting } = logged.repeats;
      service.logger.warn(
        { log: log.name, conflicting, index: logged.appended?.index },
        'events came with other content under ids that the log knew',
      );
    }
    return view(log, logged);
  };

  return exactRouter()
    .post('/v1/logs/:log/ingest/kubernetes-audit', kubernetesOperation, async (request, response) => {
      response.json(await ingest(request, response, () => readAuditEvents));
    })
    .post('/v1/logs/:log/ingest/cloudevents', cloudEventsOperation, async (request, response) => {
      const answer = await ingest(request, response, cloudEventsReader);
      if (/(^|[,;\s])return=representation\b/i.test(request.get('prefer') ?? '')) response.json(answer);
      else response.status(204).end();
    });
}

function cloudEventsReader(request: Request): (body: Uint8Array) => EventDraft[] {
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

function view(log: Log, { appended, repeats }: Logged): z.input<typeof ingested> {
  return {
    log: log.origin,
    count: appended?.count ?? 0,
    index: appended?.index ?? null,
    repeated: repeats.count,
    conflicting: repeats.conflicting,
    digest: appended === null ? null : toHex(appended.digest),
    leafHash: appended === null ? null : toHex(appended.leafHash),
    receivedAt: appended === null ? null : formatTime(appended.receivedAt),
  };
}
