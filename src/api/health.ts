import { Router } from 'express';
import { Problem, sendProblem } from './problem.ts';
import type { Service } from './service.ts';

/** Whether the process lives, and whether it can do its work. */
export function healthRoutes({ database, notices, logger }: Service): Router {
  return Router()
    .get('/healthz', (_request, response) => void response.json({ status: 'ok' }))
    .get('/readyz', async (_request, response) => {
      try {
        await database.query('SELECT 1');
        response.json({ status: 'ready', notices });
      } catch (error) {
        logger.warn({ err: error }, 'not ready');
        sendProblem(response, new Problem(503, 'database-unavailable', 'the database cannot be reached'));
      }
    });
}
