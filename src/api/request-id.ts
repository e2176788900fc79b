import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import type { Logger } from 'pino';
import type { Metrics } from '../metrics/metrics.ts';

const HEADER = 'X-Request-Id';
const GIVEN = /^[\w.:/+=~-]{1,128}$/;

/**
 * Names each request, by the `X-Request-Id` it came with where that is a decent one: the answer, a problem and the log say
 * it again. Counts answers besides.
 */
export function requestIds(metrics: Metrics, logger: Logger): (request: Request, response: Response) => void {
  return (request, response) => {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && GIVEN.test(given) ? given : randomUUID();
    response.setHeader(HEADER, requestId);
    const begin = logger.isLevelEnabled('debug') ? performance.now() : null;
    response.on('finish', () => {
      metrics.answered(response.statusCode);
      if (begin === null) return;
      const { method, path } = request;
      const ms = Math.round(performance.now() - begin);
      logger.debug({ requestId, method, path, status: response.statusCode, ms }, 'answered');
    });
  };
}

/** The id of the request of this answer; null if it has none. */
export function requestIdOf(response: Response): string | null {
  const id = response.getHeader(HEADER);
  return typeof id === 'string' ? id : null;
}
