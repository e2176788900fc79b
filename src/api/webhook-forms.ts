// What goes into and comes out of the routes of webhooks, and what the reference says of them.

import { z } from 'zod';
import { isTime } from '../core/time.ts';
import { DELIVERY_STATUSES, EVENT_TYPES } from '../webhooks/event.ts';
import { MAX_WEBHOOKS } from '../webhooks/webhooks.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, timeForm } from './forms.ts';
import { indexText, limitText } from './parameters.ts';

const idForm = z
  .string()
  .regex(/^wh_[0-9a-f]{16}$/)
  .meta({ description: 'The id of a webhook.' });
const messageForm = z
  .string()
  .regex(/^msg_[0-9a-f]{32}$/)
  .meta({ description: 'What the receiver knows the event by: its `webhook-id`.' });
const eventForm = z.enum(EVENT_TYPES);
const path = { webhook: idForm };

export const createBody = z.strictObject({
  url: z.string().meta({ description: 'Where to: `https://`, at an address that is public.' }),
  events: z.array(eventForm).min(1).max(20).optional().meta({ description: 'What to tell; absent: everything.' }),
  description: z.string().max(200).optional(),
});
export const replayBody = z.union([
  z.strictObject({ delivery: messageForm }),
  z.strictObject({ since: timeForm.refine(isTime) }),
  z.strictObject({ status: z.literal('dead') }),
]);
export const deliveriesQuery = z.strictObject({
  status: z.enum(DELIVERY_STATUSES, `not one of ${DELIVERY_STATUSES.join(', ')}`).optional(),
  before: indexText.default(Number.MAX_SAFE_INTEGER).meta({ description: 'The `next` of the page before.' }),
  limit: limitText(1_000),
});

const webhookForm = z
  .object({
    id: idForm,
    url: z.string(),
    description: z.string(),
    events: z.array(eventForm),
    createdAt: timeForm,
    disabledAt: timeForm.nullable().meta({ description: 'The receiver said that it is gone (410).' }),
    pausedUntil: timeForm.nullable().meta({ description: 'It could not be reached, and is left alone so long.' }),
    deliveries: z.object({ pending: countForm, delivered: countForm, dead: countForm }),
    problem: z.string().nullable().meta({ description: 'Why the last attempt that failed did.' }),
  })
  .meta({ id: 'Webhook' });
const deliveryForm = z
  .object({
    event: countForm,
    id: messageForm,
    type: z.string(),
    at: timeForm.meta({ description: 'When it happened.' }),
    status: z.enum(DELIVERY_STATUSES),
    attempts: countForm,
    dueAt: timeForm.nullable().meta({ description: 'When it is tried next.' }),
    answered: z.int().nullable().meta({ description: 'The status of the last answer.' }),
    problem: z.string().nullable(),
    updatedAt: timeForm,
  })
  .meta({ id: 'Delivery' });

export const createOperation = described({
  id: 'createWebhook',
  tag: 'Webhooks',
  summary: 'Make a webhook',
  description: `Messages follow Standard Webhooks; docs/webhooks.md. ${MAX_WEBHOOKS} webhooks at most.`,
  access: 'admin',
  body: { 'application/json': createBody },
  answers: {
    201: {
      ...jsonAnswer(
        'It receives what happens from now on.',
        z.intersection(
          webhookForm,
          z.object({ secret: z.string().meta({ description: 'Told here and never again.' }) }),
        ),
      ),
      headers: { Location: 'Its path.' },
    },
  },
  problems: ['json-invalid', 'webhook-invalid', 'webhook-url-invalid', 'webhooks-full'],
});

export const listOperation = described({
  id: 'listWebhooks',
  tag: 'Webhooks',
  summary: 'List webhooks',
  access: 'admin',
  answers: { 200: jsonAnswer('All of them, oldest first.', z.object({ webhooks: z.array(webhookForm) })) },
});

export const readOperation = described({
  id: 'readWebhook',
  tag: 'Webhooks',
  summary: 'Read a webhook',
  access: 'admin',
  path,
  answers: { 200: jsonAnswer('The webhook without its secret.', webhookForm) },
  problems: ['webhook-not-found'],
});

export const deleteOperation = described({
  id: 'deleteWebhook',
  tag: 'Webhooks',
  summary: 'Delete a webhook',
  access: 'admin',
  path,
  answers: {
    200: jsonAnswer(
      'It was deleted, with all deliveries that waited.',
      z.object({ id: idForm, deleted: z.literal(true) }),
    ),
  },
  problems: ['webhook-not-found'],
});

export const deliveriesOperation = described({
  id: 'listDeliveries',
  tag: 'Webhooks',
  summary: 'What became of deliveries',
  access: 'admin',
  path,
  query: deliveriesQuery,
  answers: {
    200: jsonAnswer(
      'A page, newest first.',
      z.object({
        deliveries: z.array(deliveryForm),
        next: countForm.optional().meta({ description: '`before` of the next page; absent: this is the last.' }),
      }),
    ),
  },
  problems: ['webhook-not-found'],
});

export const replayOperation = described({
  id: 'replayDeliveries',
  tag: 'Webhooks',
  summary: 'Deliver again',
  description: 'One message, all of what happened since a time, or all that was given up. A disabled webhook goes on.',
  access: 'admin',
  path,
  body: { 'application/json': replayBody },
  answers: { 200: jsonAnswer('So many are due again.', z.object({ replayed: countForm })) },
  problems: ['json-invalid', 'webhook-invalid', 'webhook-not-found'],
});
