import { setTimeout as sleep } from 'node:timers/promises';
import type { Router } from 'express';
import { AntequemError } from '../core/errors.ts';
import { sendProblem, unavailable } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const PATIENCE_MS = 3_000;

/** Whether the process lives, and whether it can do its work. */
export function healthRoutes(service: Service): Router {
  const { database, logger } = service;
  return exactRouter()
    .get('/healthz', (_request, response) => void response.json({ status: 'ok' }))
    .get('/readyz', async (_request, response) => {
      try {
        // A database that hangs is as good as none.
        const patience = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
          throw new AntequemError('database-silent', `the database has not answered for ${PATIENCE_MS} ms`);
        });
        await Promise.race([database.query('SELECT 1'), patience]);
        // Also with a database set back: what it has can be read.
        response.json({ status: 'ready', notices: service.notices() });
      } catch (error) {
        logger.warn({ err: error }, 'not ready');
        sendProblem(response, unavailable());
      }
    });
}
