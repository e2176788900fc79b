import express, { type Request, type Response } from 'express';
import { FormatError } from '../core/errors.ts';

/**
 * Reads bodies of at most `limit` bytes, counted decompressed: all of their bytes, none where there is no body.
 * What it rejects with, `problemOf` makes a 413, a 415 or a 400 of.
 */
export function bodyReader(limit: number): (request: Request, response: Response) => Promise<Uint8Array> {
  const read = express.raw({ type: () => true, limit });
  return async (request, response) => {
    await new Promise<void>((resolve, reject) => {
      read(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error)));
    });
    const body: unknown = request.body;
    return body instanceof Uint8Array ? body : new Uint8Array(0);
  };
}

/** @throws FormatError `json-invalid` */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new FormatError('json-invalid', 'the body is not JSON in UTF-8');
  }
}
