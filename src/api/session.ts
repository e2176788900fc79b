import type { Response, Router } from 'express';
import { z } from 'zod';
import { SESSION_MS } from '../access/sessions.ts';
import { FormatError } from '../core/errors.ts';
import { type Caller, COOKIE, fromOwnPage, type Gate, SECURE_COOKIE, sessionSecret } from './access.ts';
import { type BodyBudget, bodyJson, bodyReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const signInBody = z.strictObject({ key: z.string().max(200) });

const sessionForm = z
  .object({
    open: z.boolean().meta({ description: 'Whether no key is asked for.' }),
    key: z
      .object({ id: z.string(), name: z.string(), scopes: z.array(z.string()), logs: z.array(z.string()).nullable() })
      .nullable(),
    origin: z.string().optional(),
    roundInterval: z.int().positive().optional().meta({ description: 'Milliseconds.' }),
  })
  .meta({ id: 'Session' });

const readSession = described({
  id: 'readSession',
  tag: 'Operation',
  summary: 'The API key that is signed in to the pages',
  access: 'public',
  answers: { 200: jsonAnswer('No one is signed in if `key` is null and `open` is false.', sessionForm) },
});

const openSession = described({
  id: 'openSession',
  tag: 'Operation',
  summary: 'Sign in to the pages',
  description: 'From a page of the service itself: afterwards a cookie that no script can read replaces the key.',
  access: 'public',
  body: { 'application/json': signInBody },
  answers: { 200: { ...jsonAnswer('Signed in.', sessionForm), headers: { 'Set-Cookie': 'The session.' } } },
  problems: ['json-invalid', 'session-invalid', 'unauthorized'],
});

const closeSession = described({
  id: 'closeSession',
  tag: 'Operation',
  summary: 'Sign out of the pages',
  access: 'public',
  answers: { 204: { says: 'Signed out.' } },
});

/** Signing in to the pages: an API key is sent once, and a cookie that no script can read replaces it. */
export function sessionRoutes({ sessions, registry, roundInterval }: Service, gate: Gate, budget: BodyBudget): Router {
  const readBody = bodyReader(4_096, budget);
  /** The key that is signed in, and what else the pages need. */
  const view = (caller: Caller | null): object => ({
    open: caller === 'anyone',
    key: caller === 'anyone' || caller === null ? null : pick(caller),
    ...(caller === null ? {} : { origin: registry.serviceOrigin, roundInterval }),
  });

  return exactRouter()
    .get('/v1/session', readSession, async (request, response) => {
      response.json(view(await gate.identify(request)));
    })
    .post('/v1/session', openSession, async (request, response) => {
      // Else a page elsewhere could sign its visitor in under a key of its own.
      if (!fromOwnPage(request)) throw elsewhere();
      const parsed = signInBody.safeParse(bodyJson(await readBody(request, response)));
      if (!parsed.success) throw new FormatError('session-invalid', 'send {"key": "aq_…"}');
      const opened = await sessions.open(parsed.data.key.trim());
      if (opened === null) throw new Problem('unauthorized', 'this API key is unknown or was revoked');
      setCookie(response, request.get('origin'), opened.secret, SESSION_MS / 1_000);
      response.json(view(opened.key));
    })
    .delete('/v1/session', closeSession, async (request, response) => {
      const secret = sessionSecret(request);
      if (secret !== null) {
        if (!fromOwnPage(request)) throw elsewhere();
        await sessions.close(secret);
      }
      setCookie(response, request.get('origin'), '', 0);
      response.status(204).end();
    });
}

function pick({ id, name, scopes, logs }: Exclude<Caller, 'anyone'>): object {
  return { id, name, scopes, logs };
}

function elsewhere(): Problem {
  return new Problem('site-forbidden', 'a page signs in and out at its own service alone');
}

/** TLS may end before us; whether there is any, the browser says. */
function setCookie(response: Response, origin: string | undefined, value: string, maxAge: number): void {
  const secure = origin?.startsWith('https://') ?? false;
  const name = secure ? SECURE_COOKIE : COOKIE;
  response.setHeader(
    'Set-Cookie',
    `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`,
  );
}
