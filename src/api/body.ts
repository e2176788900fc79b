import express, { type Request, type Response } from 'express';
import { FormatError } from '../core/errors.ts';

/** All bytes of the body, decompressed; none where there is no body. @throws 413 beyond `limit` bytes, 415 */
export async function readBody(request: Request, response: Response, limit: number): Promise<Uint8Array> {
  await new Promise<void>((resolve, reject) => {
    express.raw({ type: () => true, limit })(request, response, (error?: unknown) =>
      error === undefined ? resolve() : reject(error),
    );
  });
  const body: unknown = request.body;
  return body instanceof Uint8Array ? body : new Uint8Array(0);
}

/** @throws FormatError `json-invalid` */
export function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new FormatError('json-invalid', 'the body is not JSON in UTF-8');
  }
}
