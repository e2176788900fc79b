import type { ErrorRequestHandler, Response } from 'express';
import type { Logger } from 'pino';
import type { Metrics } from '../metrics/metrics.ts';
import { arrivalOf, type ProblemForm } from './arrival.ts';
import { type Problem, problemHeaders, problemOf, sendProblem } from './problem.ts';
import { requestIdOf } from './request-id.ts';
import type { Warnings } from './warnings.ts';

/**
 * The last handler: every error becomes an answer. Ours are logged; of those that pass, which callers can cause at will, one of a
 * kind in ten seconds. What was to be logged and is refused is counted and
 * warned of, for senders drop what is refused without telling anybody.
 */
export function failureHandler(logger: Logger, metrics: Metrics, warnings: Warnings): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const problem = problemOf(error);
    const arrival = arrivalOf(response);
    if (arrival !== undefined) {
      const { way, log, key } = arrival;
      const { code, status, message: detail } = problem;
      metrics.refused(way, code);
      const fields = { way, log, key, code, status, detail, requestId: requestIdOf(response) };
      warnings.warn(`refused ${way} ${code} ${key ?? ''}`, fields, 'a request to append was refused');
    }
    if (problem.status >= 500) {
      const fields = { err: error, requestId: requestIdOf(response), method: request.method, path: request.path };
      if (problem.code === 'internal') logger.error(fields, 'request failed');
      else warnings.error(`failed ${problem.code} ${arrival?.key ?? ''}`, fields, 'request failed');
    }
    if (response.headersSent) next(error);
    else if (arrival === undefined || arrival.form === null) sendProblem(response, problem);
    else sendForm(response, problem, arrival.form(problem));
  };
}

function sendForm(response: Response, problem: Problem, { type, body }: ProblemForm): void {
  response.status(problem.status).set(problemHeaders(problem)).type(type);
  response.send(typeof body === 'string' ? body : Buffer.from(body));
}
