import express, { type Express } from 'express';
import helmet from 'helmet';
import type { EvmSource } from '../core/evm-source.ts';
import { Gate, ownSiteOnly } from './access.ts';
import { appendRoutes } from './append.ts';
import { BodyBudget } from './body.ts';
import { entryRoutes } from './entries.ts';
import { healthRoutes } from './health.ts';
import { logRoutes } from './logs.ts';
import { Problem, problemHandler } from './problem.ts';
import { proofRoutes } from './proofs.ts';
import { receiptRoutes } from './receipts.ts';
import { roundRoutes } from './rounds.ts';
import { otherMethods } from './routing.ts';
import type { Service } from './service.ts';
import { publicRead, tileRoutes } from './tiles.ts';
import { verifyRoutes } from './verify.ts';

/** Of bodies under way. What waits to be appended is bounded besides. */
const MAX_BODY_BYTES = 128 << 20;

/** The HTTP API over a service. */
export function createApp(service: Service, sources: readonly EvmSource[]): Express {
  const gate = new Gate(service.keys, service.open);
  const budget = new BodyBudget(service.maxBodyBytes ?? MAX_BODY_BYTES);
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple').enable('case sensitive routing');
  app.use(['/logs', '/healthz', '/readyz'], publicRead);
  if (service.open) app.use('/v1', ownSiteOnly);
  // The one route that must be fast comes before what it does not need.
  const append = appendRoutes(service, gate, budget);
  app.use(append);
  app.use(helmet());
  app.use((_request, response, next) => {
    response.setHeader('Cache-Control', 'no-store');
    next();
  });
  const routers = [
    logRoutes(service, gate),
    entryRoutes(service, gate),
    receiptRoutes(service, gate),
    proofRoutes(service),
    roundRoutes(service, gate),
    tileRoutes(service),
    verifyRoutes(gate, sources, budget),
    healthRoutes(service),
  ];
  app.use(routers);
  app.use(otherMethods([append, ...routers]));
  app.use((request) => {
    throw new Problem(404, 'not-found', `there is nothing at ${request.method} ${request.path}`);
  });
  app.use(problemHandler(service.logger));
  return app;
}
