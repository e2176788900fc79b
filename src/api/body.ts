import express, { type Request, type Response } from 'express';
import { FormatError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { Problem } from './problem.ts';

/** What a request costs beside its body, in bytes. */
const REQUEST_COST = 8 << 10;

/** A bound on what all requests with bodies hold at the same time, from the first byte to the answer. */
export class BodyBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Takes the bytes until the response is over. @throws Problem 503 `overloaded` */
  take(bytes: number, response: Response): void {
    if (bytes > this.#left) {
      throw new Problem('overloaded', 'too many requests are under way: try again in a moment', {
        'Retry-After': '1',
      });
    }
    this.#left -= bytes;
    response.once('close', () => {
      this.#left += bytes;
    });
  }
}

/**
 * Reads bodies of at most `limit` bytes, counted decompressed: all of their bytes, none where there is no body.
 * What it rejects with, `problemOf` makes a 413, a 415 or a 400 of; 503 where the budget does not suffice.
 */
export function bodyReader(
  limit: number,
  budget: BodyBudget,
): (request: Request, response: Response) => Promise<Uint8Array> {
  const read = express.raw({ type: () => true, limit });
  return async (request, response) => {
    budget.take(REQUEST_COST + mostOf(request, limit), response);
    await new Promise<void>((resolve, reject) => {
      read(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
    });
    const body: unknown = request.body;
    if (body instanceof Uint8Array) return body;
    // Of a request that broke off before it was read the parser makes one without a body.
    if (!request.complete || declaresBody(request)) {
      throw new Problem('request-invalid', 'the body did not arrive whole: send it again');
    }
    return new Uint8Array(0);
  };
}

function declaresBody(request: Request): boolean {
  return request.get('transfer-encoding') !== undefined || Number(request.get('content-length') ?? 0) !== 0;
}

/** How large the body can be, before it is there. */
function mostOf(request: Request, limit: number): number {
  const length = request.get('content-length');
  const compressed = request.get('content-encoding') !== undefined;
  if (length !== undefined && !compressed) return Math.min(Number(length), limit);
  return length === undefined && request.get('transfer-encoding') === undefined ? 0 : limit;
}

/** The media type of the body in lower case, without parameters; empty where none is told. */
export function mediaType(request: Request): string {
  return (request.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** @throws FormatError `json-invalid` */
export function bodyJson(body: Uint8Array): unknown {
  const json = parseJson(body);
  if (json === undefined) throw new FormatError('json-invalid', 'the body is not JSON in UTF-8');
  return json;
}
