import { collectAtMost } from '../core/bounded.ts';
import { AntequemError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';

const MAX_PROBLEM_BYTES = 16_384;

/** The service answered with a problem (RFC 9457). */
export class ServiceError extends Error {
  /** The code of the problem, which may be one that only a newer service has; `http-<status>` where the answer was no problem. */
  readonly code: string;
  readonly status: number;
  /** What `Retry-After` asked for, in milliseconds; null without one. */
  readonly retryAfter: number | null;

  constructor(code: string, message: string, status: number, retryAfter: number | null) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** No answer came, so whether the request took effect is unknown: `service-unreachable` or `service-timeout`. */
export class UnreachableError extends AntequemError {
  constructor(code: 'service-unreachable' | 'service-timeout', message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'UnreachableError';
  }
}

/** Whether the same request may succeed later without anyone changing it. */
export function isTransient(error: unknown): boolean {
  if (error instanceof UnreachableError) return true;
  if (!(error instanceof ServiceError)) return false;
  // The same request is still under way: its answer will be there in a moment.
  if (error.code === 'idempotency-key-in-flight') return true;
  return error.status === 408 || error.status === 429 || (error.status >= 500 && error.status !== 501);
}

/** The failure in an answer that is no success. */
export async function failureOf(response: Response, now: number): Promise<ServiceError> {
  let code = `http-${response.status}`;
  let detail = `the service answered ${response.status} ${response.statusText}`.trim();
  // A proxy's page in place of a problem, or a body cut off: the status stands for it.
  const body = await collectAtMost(response.body, MAX_PROBLEM_BYTES).catch(() => null);
  const problem = body === null ? undefined : parseJson(body);
  if (typeof problem === 'object' && problem !== null) {
    if ('code' in problem && typeof problem.code === 'string') code = problem.code;
    if ('detail' in problem && typeof problem.detail === 'string') detail = problem.detail;
    else if ('title' in problem && typeof problem.title === 'string') detail = problem.title;
  }
  return new ServiceError(code, detail, response.status, retryAfter(response.headers.get('retry-after'), now));
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  if (/^\d{1,7}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
