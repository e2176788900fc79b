import { timingSafeEqual } from 'node:crypto';
import type { Request, Router } from 'express';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { utf8 } from '../core/bytes.ts';
import type { Gate } from './access.ts';
import { described, jsonAnswer } from './description.ts';
import { Problem, problemOf, sendProblem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const aliveOperation = described({
  id: 'isAlive',
  tag: 'Operation',
  summary: 'Whether the process lives',
  access: 'public',
  answers: { 200: jsonAnswer('It does.', z.object({ status: z.literal('ok') })) },
});

const readyOperation = described({
  id: 'isReady',
  tag: 'Operation',
  summary: 'Whether requests would succeed',
  description: '503 only if they would not be; `notices` has what else an operator should know.',
  access: 'public',
  answers: {
    200: jsonAnswer(
      'They would.',
      z.object({
        status: z.literal('ready'),
        notices: z.array(z.string()),
        checks: z
          .record(z.string(), z.string())
          .meta({ description: 'By what was looked at: `ok`, or in a word why not.' }),
      }),
    ),
  },
  problems: ['clock-skew', 'draining', 'schema-older'],
});

/** Whether the process lives, and whether requests would succeed. */
export function healthRoutes({ operation, logger }: Pick<Service, 'operation' | 'logger'>): Router {
  return exactRouter()
    .get('/healthz', aliveOperation, (_request, response) => void response.json({ status: 'ok' }))
    .get('/readyz', readyOperation, async (_request, response) => {
      const { refusal, notices, checks } = await operation.readiness();
      // Also with a database set back: what it has can be read.
      if (refusal === null) return void response.json({ status: 'ready', notices, checks });
      logger.warn({ code: refusal.code }, `not ready: ${refusal.message}`);
      sendProblem(
        response,
        refusal.code === 'draining' ? new Problem('draining', refusal.message) : problemOf(refusal),
      );
    });
}

const scrapeOperation = described({
  id: 'readMetrics',
  tag: 'Operation',
  summary: 'Metrics for Prometheus',
  description: 'Opened by the token of `METRICS_TOKEN_FILE` as well; docs/monitoring.md lists them.',
  access: 'admin',
  answers: { 200: { says: 'Its text format.', content: { 'text/plain': 'text' } } },
});

/**
 * What Prometheus scrapes. With the token of METRICS_TOKEN_FILE, which is good for nothing else and needs no database, or
 * with a key of the scope admin; without either where everything is open.
 */
export function metricsRoutes(
  { operation, metricsToken }: Pick<Service, 'operation' | 'metricsToken'>,
  gate: Gate,
): Router {
  return exactRouter().get('/metrics', scrapeOperation, async (request, response) => {
    if (!bearsToken(request, metricsToken)) await gate.admit(request, 'admin', null);
    response.type('text/plain; version=0.0.4; charset=utf-8').send(await operation.scrape());
  });
}

function bearsToken(request: Request, token: string | null): boolean {
  const [, sent] = /^bearer +(\S+)$/i.exec(request.get('authorization') ?? '') ?? [];
  if (token === null || sent === undefined) return false;
  return timingSafeEqual(sha256(utf8(sent)), sha256(utf8(token)));
}
