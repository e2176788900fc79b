import type { Request, Response, Router } from 'express';
import type { z } from 'zod';
import { FormatError } from '../core/errors.ts';
import { formatTime, parseTime } from '../core/time.ts';
import { EVENT_TYPES } from '../webhooks/event.ts';
import { formatSecret } from '../webhooks/signature.ts';
import type { Delivery, Selection, Webhook } from '../webhooks/webhooks.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyJson, bodyReader } from './body.ts';
import { query } from './parameters.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import {
  createBody,
  createOperation,
  deleteOperation,
  deliveriesOperation,
  deliveriesQuery,
  listOperation,
  readOperation,
  replayBody,
  replayOperation,
} from './webhook-forms.ts';

const MAX_BODY = 16 << 10;

/** Webhooks and what became of their deliveries. They tell of all logs, so a key for some logs does not do. */
export function webhookRoutes({ webhooks, webhookSecret }: Service, gate: Gate, budget: BodyBudget): Router {
  const readBody = bodyReader(MAX_BODY, budget);
  const parsed = async <T>(request: Request, response: Response, schema: z.ZodType<T>, form: string): Promise<T> => {
    const body = schema.safeParse(bodyJson(await readBody(request, response)));
    if (!body.success) throw new FormatError('webhook-invalid', `send ${form}`);
    return body.data;
  };

  return exactRouter()
    .post('/v1/webhooks', createOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      const form = `{"url": "https://…", "events": ["${EVENT_TYPES[0]}", …], "description": "…"}; events: ${EVENT_TYPES.join(', ')}`;
      const { url, events, description } = await parsed(request, response, createBody, form);
      const webhook = await webhooks.create({
        url,
        ...(events === undefined ? {} : { events }),
        ...(description === undefined ? {} : { description }),
      });
      response.status(201).location(`/v1/webhooks/${webhook.id}`);
      // Told here and never again.
      response.json({ ...view(webhook), secret: formatSecret(webhookSecret(webhook.id)) });
    })
    .get('/v1/webhooks', listOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      response.json({ webhooks: (await webhooks.list()).map(view) });
    })
    .get('/v1/webhooks/:webhook', readOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      response.json(view(await webhooks.read(String(request.params.webhook))));
    })
    .delete('/v1/webhooks/:webhook', deleteOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      const id = String(request.params.webhook);
      await webhooks.delete(id);
      response.json({ id, deleted: true });
    })
    .get('/v1/webhooks/:webhook/deliveries', deliveriesOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      const { status, before, limit } = query(request, deliveriesQuery);
      const page = { status: status ?? null, before, limit: limit + 1 };
      const found = await webhooks.deliveries(String(request.params.webhook), page);
      const deliveries = found.slice(0, limit);
      const next = found.length > limit ? deliveries.at(-1)?.event : undefined;
      response.json({ deliveries: deliveries.map(deliveryView), ...(next === undefined ? {} : { next }) });
    })
    .post('/v1/webhooks/:webhook/replay', replayOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      const form = '{"delivery": "msg_…"}, {"since": "<time>"} or {"status": "dead"}';
      const body = await parsed(request, response, replayBody, form);
      const replayed = await webhooks.replay(String(request.params.webhook), selectionOf(body));
      response.json({ replayed });
    });
}

function selectionOf(body: z.output<typeof replayBody>): Selection {
  if ('delivery' in body) return { id: body.delivery };
  return 'since' in body ? { since: parseTime(body.since) } : { dead: true };
}

function view({ createdAt, disabledAt, pausedUntil, ...webhook }: Webhook): object {
  return {
    ...webhook,
    createdAt: formatTime(createdAt),
    disabledAt: disabledAt === null ? null : formatTime(disabledAt),
    pausedUntil: pausedUntil === null ? null : formatTime(pausedUntil),
  };
}

function deliveryView({ at, dueAt, updatedAt, ...delivery }: Delivery): object {
  return {
    ...delivery,
    at: formatTime(at),
    dueAt: dueAt === null ? null : formatTime(dueAt),
    updatedAt: formatTime(updatedAt),
  };
}
