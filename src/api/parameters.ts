import type { Request } from 'express';
import { z } from 'zod';
import { excerpt, fromHex, HASH_HEX } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { checkLogName } from '../core/origin.ts';
import type { Log } from '../log/log.ts';
import type { Registry } from '../log/registry.ts';
import { Problem } from './problem.ts';

/** What the reference says such a text is. */
const NUMBER = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

/** A whole number below 2^53 in its one spelling, as paths and queries have it. */
export const indexText = z
  .string()
  .regex(/^(0|[1-9]\d{0,15})$/, 'not a whole number')
  .transform(Number)
  .refine(Number.isSafeInteger, 'not below 2^53')
  .meta(NUMBER);

/** A page size of at most `most`. */
export const limitText = (most: number) =>
  indexText
    .refine((limit) => limit >= 1 && limit <= most, `not from 1 to ${most}`)
    .meta({ ...NUMBER, minimum: 1, maximum: most })
    .default(Math.min(100, most));

/** The query of a request, every parameter known and well-formed. @throws FormatError `query-invalid` */
export function query<T extends z.ZodObject<z.ZodRawShape, z.core.$strict>>(request: Request, schema: T): z.output<T> {
  const parsed = schema.safeParse(request.query);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    const known = Object.keys(schema.shape).join(', ');
    throw new FormatError(
      'query-invalid',
      `no such query parameter here: ${excerpt(issue.keys[0] ?? '')}; there is ${known}`,
    );
  }
  const name = String(issue?.path[0]);
  const given: unknown = request.query[name];
  const fault = given === undefined ? 'it must be given' : typeof given === 'string' ? issue?.message : 'given twice';
  throw new FormatError('query-invalid', `the query parameter ${name} is wrong: ${fault}`);
}

/** A number out of the path. @throws FormatError `path-invalid` */
export function pathIndex(request: Request, name: string): number {
  const parsed = indexText.safeParse(request.params[name]);
  if (!parsed.success)
    throw new FormatError('path-invalid', `the ${name} in the path must be a whole number below 2^53`);
  return parsed.data;
}

/** The name of a log out of the path. @throws FormatError `log-name-invalid` */
export function pathLogName(request: Request): string {
  const name = String(request.params.log);
  checkLogName(name);
  return name;
}

/** The log that the path names. @throws Problem 404 `log-not-found` */
export function pathLog(request: Request, registry: Registry): Log | Promise<Log> {
  const name = pathLogName(request);
  const log = registry.find(name);
  return log instanceof Promise ? log.then((found) => found ?? noLog(name)) : log;
}

function noLog(name: string): never {
  throw new Problem('log-not-found', `there is no log ${name}: create it with PUT /v1/logs/${name}`);
}

/** A SHA-256 digest in hex. @throws FormatError `digest-invalid` */
export function parseDigest(text: string): Uint8Array {
  if (!HASH_HEX.test(text)) throw new FormatError('digest-invalid', 'a digest is 64 lower-case hex digits (SHA-256)');
  return fromHex(text);
}

/** A digest by one of the hashes that .ots files name, in hex. */
export function parseFileDigest(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text))
    throw new FormatError('digest-invalid', 'a digest is 64 lower-case hex digits, or 40 (SHA-1, RIPEMD-160)');
  return fromHex(text);
}

/** By SHA-256, SHA-384 or SHA-512. @throws FormatError `digest-invalid` */
export function parseTokenDigest(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/.test(text))
    throw new FormatError(
      'digest-invalid',
      'a digest is 64, 96 or 128 lower-case hex digits (SHA-256, SHA-384, SHA-512)',
    );
  return fromHex(text);
}
