import type { Response } from 'express';
import { AntequemError, type ErrorCode, FormatError } from '../core/errors.ts';
import { PROBLEM_STATUS, type ProblemCode } from '../core/problem-codes.ts';
import { requestIdOf } from './request-id.ts';

/**
 * What a 503 asks for where nothing else is said. The API server's client asks again up to ten times within the 30 s of
 * one try: with three seconds it uses them all. Exporters of OpenTelemetry give up after some ten seconds.
 */
const RETRY_AFTER_SECONDS = '3';

/** An error as the API answers it. A 503 always has a Retry-After. */
export class Problem extends AntequemError {
  override readonly code: ProblemCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(code, detail);
    this.name = 'Problem';
    this.code = code;
    this.status = PROBLEM_STATUS[code];
    this.headers = this.status === 503 ? { 'Retry-After': RETRY_AFTER_SECONDS, ...headers } : headers;
  }
}

// The database is not reachable, or did not do what it was asked.
const UNAVAILABLE: ReadonlySet<ErrorCode> = new Set(['database-silent', 'commit-refused', 'database-unavailable']);

// SQLSTATE that passes by itself: connection, resources, operator intervention, transaction rollback, the system's own
// input and output; a lock that did not come, a transaction that idled too long.
const PASSING = /^(08|53|57|40|58|55P03|25P03)/;
const NETWORK = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'ETIMEDOUT', 'EPIPE', 'EHOSTUNREACH', 'ENOTFOUND']);

/** Turns anything that was thrown into the answer for the client. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof AntequemError) {
    const { code, message } = error;
    if (UNAVAILABLE.has(code)) return unavailable();
    if (code === 'database-read-only') return readOnly();
    if (code === 'archive-missing' || code === 'archive-refused') return archiveClosed();
    if (isProblemCode(code) && code !== 'internal')
      return new Problem(code, message, code === 'idempotency-key-in-flight' ? { 'Retry-After': '1' } : {});
    return error instanceof FormatError ? new Problem('request-invalid', message) : internal();
  }
  const { code, status, type, message } = fieldsOf(error);
  if (code === '25006') return readOnly();
  if (status === 413 || type === 'entity.too.large') {
    return new Problem('body-too-large', 'the body is too large: send smaller batches or entries');
  }
  if (status === 415)
    return new Problem(
      'encoding-unsupported',
      'the content encoding is not supported: send gzip, deflate, br, zstd or none',
    );
  if (status !== undefined && status >= 400 && status < 500)
    return new Problem('request-invalid', 'the request is malformed');
  if (code !== undefined && (PASSING.test(code) || NETWORK.has(code))) return unavailable();
  // node-postgres has no code for these.
  if (
    /Connection terminated|Query read timeout|Client was closed|timeout exceeded when trying to connect|client has encountered a connection error/i.test(
      message,
    )
  )
    return unavailable();
  return internal();
}

function isProblemCode(code: ErrorCode): code is ProblemCode {
  return Object.hasOwn(PROBLEM_STATUS, code);
}

/** The database takes no writes now: a replica, or told so. */
function readOnly(): Problem {
  return new Problem(
    'database-read-only',
    'the database takes no writes now: try again in a moment, an append with the same Idempotency-Key',
  );
}

/** What lies in the archive cannot be read until the operator corrects its settings. */
function archiveClosed(): Problem {
  return new Problem(
    'archive-unavailable',
    'the archive with old payloads cannot be read with the settings of this service: its operator has to correct them',
  );
}

/** The database is not there now. */
export function unavailable(): Problem {
  return new Problem(
    'database-unavailable',
    'the database cannot be reached: try again in a moment, an append with the same Idempotency-Key',
  );
}

function internal(): Problem {
  return new Problem('internal', 'the service failed; its log says why');
}

function fieldsOf(error: unknown): { code?: string; status?: number; type?: string; message: string } {
  if (typeof error !== 'object' || error === null) return { message: '' };
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const code = 'code' in error ? text(error.code) : undefined;
  const type = 'type' in error ? text(error.type) : undefined;
  const status = 'status' in error && typeof error.status === 'number' ? error.status : undefined;
  return {
    message: error instanceof Error ? error.message : '',
    ...(code === undefined ? {} : { code }),
    ...(type === undefined ? {} : { type }),
    ...(status === undefined ? {} : { status }),
  };
}

/** The headers of an answer that says what is wrong, in whatever form. */
export function problemHeaders({ headers }: Problem): Readonly<Record<string, string>> {
  return { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', ...headers };
}

/** Sends a problem (RFC 9457) with its stable `code` and the id of the request in our log. */
export function sendProblem(response: Response, problem: Problem): void {
  const requestId = requestIdOf(response);
  response
    .status(problem.status)
    .set(problemHeaders(problem))
    .type('application/problem+json')
    .send(
      JSON.stringify({
        type: `urn:antequem:problem:${problem.code}`,
        title: problem.code.replaceAll('-', ' '),
        status: problem.status,
        code: problem.code,
        detail: problem.message,
        ...(requestId === null ? {} : { requestId }),
      }),
    );
}
