import { IncomingMessage, type ServerOptions, ServerResponse } from 'node:http';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { demandOwnHost, demandOwnSite, Gate } from './access.ts';
import { appendRoutes } from './append.ts';
import { auditRoutes } from './auditing.ts';
import { BodyBudget } from './body.ts';
import { calendarRoutes, publicCalendar } from './calendar.ts';
import { entryRoutes } from './entries.ts';
import { exportRoutes } from './export.ts';
import { failureHandler } from './failures.ts';
import { healthRoutes, metricsRoutes } from './health.ts';
import { holdRoutes } from './holds.ts';
import { ingestRoutes } from './ingest.ts';
import { logRoutes } from './logs.ts';
import { otlpRoutes } from './otlp.ts';
import { notFoundPage, pageRoutes } from './pages.ts';
import { Problem } from './problem.ts';
import { receiptCoseRoutes } from './receipt-cose.ts';
import { receiptOtsRoutes } from './receipt-ots.ts';
import { receiptTsrRoutes } from './receipt-tsr.ts';
import { receiptRoutes } from './receipts.ts';
import { referenceRoutes } from './reference.ts';
import { requestIds } from './request-id.ts';
import { retentionRoutes } from './retention.ts';
import { roundRoutes } from './rounds.ts';
import { otherMethods } from './routing.ts';
import { searchRoutes } from './search.ts';
import type { Service } from './service.ts';
import { sessionRoutes } from './session.ts';
import { sourceDeliveryRoutes } from './source-deliveries.ts';
import { sourceRoutes } from './sources.ts';
import { proofRoutes, publicRead, tileRoutes } from './tiles.ts';
import { tsaRoutes } from './tsa.ts';
import type { Verifications } from './verifications.ts';
import { verifyRoutes } from './verify.ts';
import { Warnings } from './warnings.ts';
import { webhookRoutes } from './webhooks.ts';
import { witnessLogRoutes } from './witness-logs.ts';

/** Of bodies under way. What waits to be appended is bounded besides. */
const MAX_BODY_BYTES = 128 << 20;

/** What helmet would say of what no browser shows. */
const plainHeaders: RequestHandler = (_request, response, next) => {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
  response.setHeader('X-Content-Type-Options', 'nosniff');
  next();
};

const V1 = /^\/v1(\/|$)/;

/** What probes and scrapes get of a process without the API: `/healthz`, `/readyz`, `/metrics`. */
export function createHealthApp(
  service: Pick<Service, 'keys' | 'sessions' | 'open' | 'operation' | 'metricsToken' | 'logger'>,
): Express {
  const { keys, sessions, open, operation, logger } = service;
  const routers = [healthRoutes(service), metricsRoutes(service, new Gate(keys, sessions, open, null))];
  const app = express();
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing');
  const nameRequest = requestIds(operation.metrics, logger);
  app.use((request, response, next) => {
    nameRequest(request, response);
    if (open) demandOwnHost(request);
    next();
  });
  app.use(plainHeaders, routers, otherMethods(routers));
  app.use(notFound);
  app.use(failureHandler(logger, operation.metrics, new Warnings(logger, () => performance.now())));
  return app;
}

const notFound: RequestHandler = ({ method, path }) => {
  throw new Problem('not-found', `there is nothing at ${method} ${path}`);
};

/** The HTTP API over a service. */
export function createApp(service: Service, verifications: Verifications): Express {
  const gate = new Gate(service.keys, service.sessions, service.open, service.quota);
  const budget = new BodyBudget(service.maxBodyBytes ?? MAX_BODY_BYTES);
  const warnings = new Warnings(service.logger, () => performance.now());
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple').enable('case sensitive routing');
  app.set('trust proxy', [...(service.trustedProxies ?? [])]);
  const nameRequest = requestIds(service.operation.metrics, service.logger);
  const { router: append, direct } = appendRoutes(service, gate, budget, warnings);
  // One layer for all that a plain append needs: each costs some microseconds, and what they leave to the garbage collector.
  app.use((request, response, next) => {
    nameRequest(request, response);
    if (service.open) {
      demandOwnHost(request);
      if (V1.test(request.path)) demandOwnSite(request);
    }
    return direct(request, response) ?? next();
  });
  app.use(append);
  app.use(['/logs', '/healthz', '/readyz', '/.well-known'], publicRead);
  app.use(['/digest', '/timestamp'], publicCalendar);
  if (service.open) {
    app.use('/digest', (request, _response, next) => {
      demandOwnSite(request);
      next();
    });
  }
  const quick = [receiptRoutes(service, gate), tileRoutes(service), entryRoutes(service, gate), proofRoutes(service)];
  app.use(plainHeaders, quick);
  app.use(helmet());
  app.use((_request, response, next) => {
    response.setHeader('Cache-Control', 'no-store');
    next();
  });
  const routers = [
    logRoutes(service, gate, budget),
    ingestRoutes(service, gate, budget, warnings),
    otlpRoutes(service, gate, budget, warnings),
    // Before what would answer OPTIONS by itself.
    sourceDeliveryRoutes(service, warnings),
    sourceRoutes(service, gate, budget),
    retentionRoutes(service, gate, budget),
    holdRoutes(service, gate, budget),
    searchRoutes(service, gate),
    exportRoutes(service, gate),
    receiptOtsRoutes(service, gate),
    receiptCoseRoutes(service, gate),
    receiptTsrRoutes(service, gate),
    roundRoutes(service, gate),
    auditRoutes(service, gate),
    verifyRoutes(gate, verifications, budget),
    webhookRoutes(service, gate, budget),
    witnessLogRoutes(service),
    calendarRoutes(service.calendar, budget),
    tsaRoutes(service, budget),
    healthRoutes(service),
    metricsRoutes(service, gate),
    sessionRoutes(service, gate, budget),
    pageRoutes(),
  ];
  routers.push(referenceRoutes([append, ...quick, ...routers]));
  app.use(routers);
  app.use(otherMethods([append, ...quick, ...routers]));
  app.use(notFoundPage);
  app.use(notFound);
  app.use(failureHandler(service.logger, service.operation.metrics, warnings));
  return app;
}

/**
 * What makes requests and responses for an app. Express gives each another prototype, which costs some microseconds and makes all that
 * is done with them slower: these have it from the beginning.
 */
export function madeFor(app: Express): Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'> {
  class AppRequest extends IncomingMessage {}
  class AppResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  Object.setPrototypeOf(AppRequest.prototype, app.request);
  Object.setPrototypeOf(AppResponse.prototype, app.response);
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
  return { IncomingMessage: AppRequest, ServerResponse: AppResponse };
}
