import type { Request, Response, Router } from 'express';
import type { z } from 'zod';
import { FormatError } from '../core/errors.ts';
import { formatTime } from '../core/time.ts';
import { sourceChoices } from '../sources/choices.ts';
import type { Source } from '../sources/sources.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyJson, bodyReader } from './body.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { greetingOf, sendReply } from './source-deliveries.ts';
import {
  createSourceBody,
  createSourceOperation,
  listSchemesOperation,
  listSourcesOperation,
  readSourceOperation,
  removeSourceOperation,
  rotateSourceBody,
  rotateSourceOperation,
  type sourceForm,
} from './source-forms.ts';

/** Room for a set of keys in the settings. */
const MAX_BODY_BYTES = 64 << 10;

/** Managing sources. A source lets others append, so a key for some logs does not do. */
export function sourceRoutes(service: Service, gate: Gate, budget: BodyBudget): Router {
  const { sources } = service;
  const readBody = bodyReader(MAX_BODY_BYTES, budget);
  const parsed = async <T>(request: Request, response: Response, schema: z.ZodType<T>, form: string): Promise<T> => {
    const body = schema.safeParse(bodyJson(await readBody(request, response)));
    if (!body.success) throw new FormatError('source-invalid', `send ${form}`);
    return body.data;
  };

  return exactRouter()
    .post('/v1/sources', createSourceOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      const form =
        '{"name": "…", "log": "…", "scheme": "…", "settings": {…}, "secret": "…"}; settings and secret are optional';
      const { source, secret } = await sources.create(await parsed(request, response, createSourceBody, form));
      // The secret is told here and never again.
      response
        .status(201)
        .location(pathOf(source))
        .json({ ...view(source), secret });
    })
    .get('/v1/sources', listSourcesOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      response.json({ sources: (await sources.list()).map(view) });
    })
    .get('/v1/source-schemes', listSchemesOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      response.json({ schemes: sourceChoices() });
    })
    .get('/v1/sources/:source', readSourceOperation, async (request, response) => {
      const greeting = await greetingOf(request, response, sources);
      if (greeting !== null) return sendReply(response, greeting);
      await gate.admit(request, 'admin', null);
      response.json(view(await sources.read(String(request.params.source))));
    })
    .post('/v1/sources/:source/rotate', rotateSourceOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      const form = '{"secret": "…", "settings": {…}, "keepSeconds": 86400}; each is optional';
      const rotation = await parsed(request, response, rotateSourceBody, form);
      const { source, secret } = await sources.rotate(String(request.params.source), rotation);
      response.json({ ...view(source), secret });
    })
    .delete('/v1/sources/:source', removeSourceOperation, async (request, response) => {
      await gate.admit(request, 'admin', null);
      response.json({ id: await sources.remove(String(request.params.source)), removed: true });
    });
}

function pathOf({ id }: Pick<Source, 'id'>): string {
  return `/v1/sources/${id}`;
}

function view({ createdAt, receivedAt, refusedAt, secrets, settings, ...source }: Source): z.input<typeof sourceForm> {
  const optional = (time: number | null): string | null => (time === null ? null : formatTime(time));
  return {
    ...source,
    settings: { ...settings },
    path: pathOf(source),
    createdAt: formatTime(createdAt),
    receivedAt: optional(receivedAt),
    refusedAt: optional(refusedAt),
    secrets: secrets.map(({ number, createdAt, expiresAt }) => ({
      number,
      createdAt: formatTime(createdAt),
      expiresAt: optional(expiresAt),
    })),
  };
}
