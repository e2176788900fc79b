import { timingSafeEqual } from 'node:crypto';
import type { Request, Router } from 'express';
import { sha256 } from '#sha256';
import { utf8 } from '../core/bytes.ts';
import type { Gate } from './access.ts';
import { described } from './description.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

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
export function metricsRoutes({ operation, metricsToken }: Service, gate: Gate): Router {
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
