import type { Router } from 'express';
import { z } from 'zod';
import { FormatError, parsed } from '../core/errors.ts';
import { formatTime, parseRfc3339 } from '../core/time.ts';
import { type KnownHold, MAX_HOLDS } from '../log/holds.ts';
import { HOLD_ID, MAX_REASON_LENGTH } from '../log/outside/hold.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyJson, bodyReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { originForm, timeForm } from './forms.ts';
import { pathLog, pathLogName } from './parameters.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

/** Room for the ids of all holds. */
const MAX_BODY_BYTES = 1 << 20;

const idForm = z.string().regex(HOLD_ID).meta({ description: 'The id of a hold.' });
const boundForm = z
  .string()
  .refine((text) => parsed(() => parseRfc3339(text)) !== null)
  .meta({ format: 'date-time' })
  .nullable()
  .default(null);
const addBody = z.strictObject({
  from: boundForm.meta({ description: 'Entries received from then on, a time by RFC 3339; null: from the first.' }),
  to: boundForm.meta({ description: 'Entries received before then, a time by RFC 3339; null: all that come, too.' }),
  reason: z.string().min(1).max(MAX_REASON_LENGTH).meta({ description: 'Shown to readers of the log.' }),
});
const confirmBody = z.strictObject({ holds: z.array(idForm).max(MAX_HOLDS) });

const holdForm = z
  .object({
    id: idForm,
    log: originForm,
    from: timeForm.nullable(),
    to: timeForm.nullable(),
    reason: z.string(),
    addedAt: timeForm,
    inDatabase: z
      .boolean()
      .meta({ description: 'False: the database was set back and has lost it. It counts all the same.' }),
    inStore: z
      .boolean()
      .nullable()
      .meta({ description: 'Whether it is kept beside the database, too; null: nowhere is configured.' }),
  })
  .meta({ id: 'Hold' });
const holdsForm = z.object({
  holds: z.array(holdForm),
  unconfirmedSince: timeForm
    .nullable()
    .meta({ description: 'Since when nothing is erased until the holds are confirmed; null: they are.' }),
});

const addOperation = described({
  id: 'addHold',
  tag: 'Retention',
  summary: 'Put entries under a legal hold',
  description:
    'Nothing erases entries of the log that were received in this time until the hold is removed: no request and no ' +
    'retention. Entries of `_system` tell of both. Holds are kept beside the database, too, so that one restored from a ' +
    'backup does not release them.',
  access: 'admin',
  body: { 'application/json': addBody },
  answers: { 201: { ...jsonAnswer('It holds.', holdForm), headers: { Location: 'Its path.' } } },
  problems: [
    'clock-skew',
    'database-set-back',
    'guard-unavailable',
    'hold-invalid',
    'holds-full',
    'json-invalid',
    'log-not-found',
    'log-reserved',
  ],
});

const listOperation = described({
  id: 'listHolds',
  tag: 'Retention',
  summary: 'List the legal holds of a log',
  access: 'read',
  answers: { 200: jsonAnswer('The oldest first.', holdsForm) },
  problems: ['guard-unavailable', 'log-not-found'],
});

const removeOperation = described({
  id: 'removeHold',
  tag: 'Retention',
  summary: 'Remove a legal hold',
  description: 'What it kept and is older than the log keeps it is erased by the next run.',
  access: 'admin',
  path: { hold: idForm },
  answers: { 200: jsonAnswer('It holds no more.', z.object({ id: idForm, removed: z.literal(true) })) },
  problems: ['clock-skew', 'database-set-back', 'guard-unavailable', 'hold-not-found', 'log-not-found'],
});

const listAllOperation = described({
  id: 'listAllHolds',
  tag: 'Retention',
  summary: 'List all legal holds',
  access: 'admin',
  answers: { 200: jsonAnswer('Those of all logs, the oldest first.', holdsForm) },
  problems: ['guard-unavailable'],
});

const confirmOperation = described({
  id: 'confirmHolds',
  tag: 'Retention',
  summary: 'Confirm the legal holds after a database was set back',
  description:
    'After `antequem recover` nothing is erased until this names all holds that there are. Those that the database has ' +
    'lost are put there again.',
  access: 'admin',
  body: { 'application/json': confirmBody },
  answers: { 200: jsonAnswer('They are confirmed, and erasing goes on.', holdsForm) },
  problems: ['clock-skew', 'database-set-back', 'guard-unavailable', 'hold-invalid', 'holds-changed', 'json-invalid'],
});

/** Legal holds. */
export function holdRoutes(service: Service, gate: Gate, budget: BodyBudget): Router {
  const { registry, holds } = service;
  const readBody = bodyReader(MAX_BODY_BYTES, budget);

  const listed = async (list: readonly KnownHold[]): Promise<z.input<typeof holdsForm>> => ({
    holds: list.map(view),
    unconfirmedSince: optional(await holds.unconfirmedSince()),
  });

  return exactRouter()
    .post('/v1/logs/:log/holds', addOperation, async (request, response) => {
      await gate.admit(request, 'admin', pathLogName(request));
      const log = await pathLog(request, registry);
      const body = addBody.safeParse(bodyJson(await readBody(request, response)));
      if (!body.success) {
        const form = '{"from": "2026-01-01T00:00:00Z", "to": null, "reason": "…"}; from and to are optional';
        throw new FormatError('hold-invalid', `send ${form}`);
      }
      const { from, to, reason } = body.data;
      // Where a fraction is finer than times of entries are, rather more is held.
      const since = from === null ? null : parseRfc3339(from);
      const until = to === null ? null : parseRfc3339(to, true);
      const hold = await holds.add(log, { since, until, reason });
      response.status(201).location(`/v1/logs/${log.name}/holds/${hold.id}`).json(view(hold));
    })
    .get('/v1/logs/:log/holds', listOperation, async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      response.json(await listed(await holds.of(await pathLog(request, registry))));
    })
    .delete('/v1/logs/:log/holds/:hold', removeOperation, async (request, response) => {
      await gate.admit(request, 'admin', pathLogName(request));
      const id = String(request.params.hold);
      await holds.remove(await pathLog(request, registry), id);
      response.json({ id, removed: true });
    })
    .get('/v1/holds', listAllOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      response.json(await listed(await holds.list()));
    })
    .post('/v1/holds/confirmation', confirmOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      const body = confirmBody.safeParse(bodyJson(await readBody(request, response)));
      if (!body.success) throw new FormatError('hold-invalid', 'send {"holds": ["hold_…"]}, the ids of all holds');
      response.json(await listed(await holds.confirm(body.data.holds)));
    });
}

function view({ since, until, addedAt, ...hold }: KnownHold): z.input<typeof holdForm> {
  return { ...hold, from: optional(since), to: optional(until), addedAt: formatTime(addedAt) };
}

function optional(time: number | null): string | null {
  return time === null ? null : formatTime(time);
}
