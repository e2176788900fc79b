import type { Router } from 'express';
import { z } from 'zod';
import { FormatError } from '../core/errors.ts';
import { formatPeriod, parsePeriod } from '../core/period.ts';
import { formatTime } from '../core/time.ts';
import type { Log } from '../log/log.ts';
import { readRetention, setRetention } from '../log/retention.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyJson, bodyReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, originForm, timeForm } from './forms.ts';
import { pathLog, pathLogName } from './parameters.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const periodForm = z.string().meta({ description: 'A period such as `400d`, `36h`, `90m` or `30s`.' });
const retentionBody = z.strictObject({ period: periodForm });
const retentionForm = z
  .object({
    log: originForm,
    period: periodForm.nullable().meta({ description: 'How long entries are kept; null: for ever.' }),
    setAt: timeForm.nullable(),
    erased: countForm.meta({ description: 'Entries that retention has erased.' }),
    open: countForm.meta({ description: 'Entries that `_system` names as erased and that are erased next.' }),
    dueSince: timeForm.nullable().meta({
      description:
        'When the oldest entry was due that is neither erased nor held, as the worker last saw; null: none is.',
    }),
    unconfirmedSince: timeForm.nullable().meta({
      description: 'Since when nothing is erased until the holds are confirmed; null: they are.',
    }),
  })
  .meta({ id: 'Retention' });

const setOperation = described({
  id: 'setRetention',
  tag: 'Retention',
  summary: 'Set how long entries are kept',
  description:
    'Payload, digest and nonce of entries that were received longer ago are erased, by the worker and in bulk, unless a ' +
    'hold keeps them. An entry of `_system` names what is erased. The tree stays whole, and receipts still prove.',
  access: 'admin',
  body: { 'application/json': retentionBody },
  answers: { 200: jsonAnswer('The retention of the log.', retentionForm) },
  problems: ['clock-skew', 'database-set-back', 'json-invalid', 'log-not-found', 'log-reserved', 'retention-invalid'],
});

const readOperation = described({
  id: 'readRetention',
  tag: 'Retention',
  summary: 'Read how long entries are kept',
  access: 'read',
  answers: { 200: jsonAnswer('The retention of the log.', retentionForm) },
  problems: ['log-not-found'],
});

const clearOperation = described({
  id: 'clearRetention',
  tag: 'Retention',
  summary: 'Keep entries for ever',
  description: 'What `_system` names as erased already is still erased.',
  access: 'admin',
  answers: { 200: jsonAnswer('The retention of the log.', retentionForm) },
  problems: ['clock-skew', 'database-set-back', 'log-not-found', 'log-reserved'],
});

/** How long the entries of a log are kept. */
export function retentionRoutes(service: Service, gate: Gate, budget: BodyBudget): Router {
  const { registry, database, appender, holds } = service;
  const readBody = bodyReader(1_024, budget);
  const parts = { database, system: registry.system, sequencing: appender.sequencing };

  const view = async (log: Log): Promise<z.input<typeof retentionForm>> => {
    const { period, setAt, erased, open, dueSince } = await readRetention(database, log);
    const unconfirmed = await holds.unconfirmedSince();
    return {
      log: log.origin,
      period: period === null ? null : formatPeriod(period),
      setAt: optional(setAt),
      erased,
      open,
      dueSince: optional(dueSince),
      unconfirmedSince: optional(unconfirmed),
    };
  };

  return exactRouter()
    .put('/v1/logs/:log/retention', setOperation, async (request, response) => {
      await gate.admit(request, 'admin', pathLogName(request));
      const log = await pathLog(request, registry);
      const body = retentionBody.safeParse(bodyJson(await readBody(request, response)));
      if (!body.success) throw new FormatError('retention-invalid', 'send {"period": "400d"}');
      await setRetention(parts, log, parsePeriod(body.data.period));
      response.json(await view(log));
    })
    .get('/v1/logs/:log/retention', readOperation, async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      response.json(await view(await pathLog(request, registry)));
    })
    .delete('/v1/logs/:log/retention', clearOperation, async (request, response) => {
      await gate.admit(request, 'admin', pathLogName(request));
      const log = await pathLog(request, registry);
      await setRetention(parts, log, null);
      response.json(await view(log));
    });
}

function optional(time: number | null): string | null {
  return time === null ? null : formatTime(time);
}
