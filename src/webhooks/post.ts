// One attempt to deliver: a POST that follows nothing, reads little, and ends in time whatever the receiver does.

import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { AntequemError, messageOf } from '../core/errors.ts';
import { isPublicAddress } from './address.ts';
import { literalAddress, privateAddress, publicLookup, type Resolve, systemResolve } from './destination.ts';

/** What is read of an answer, so that the receiver can end it in peace. */
const MOST_READ = 16 << 10;
const READ_MS = 2_000;

export interface PostOptions {
  readonly allowPrivate: boolean;
  /** Milliseconds from the beginning to the head of the answer. */
  readonly patience: number;
  readonly signal: AbortSignal;
  /** Default: as the system does. */
  readonly resolve?: Resolve;
}

/** What a receiver said. */
export interface Reply {
  readonly status: number;
  /** What `Retry-After` asked for, milliseconds; null without one. */
  readonly retryAfter: number | null;
}

/** @throws AntequemError `address-private`, `receiver-silent`, `receiver-unreachable`; whatever the signal is aborted with */
export async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  { allowPrivate, patience, signal, resolve = systemResolve }: PostOptions,
): Promise<Reply> {
  // For an address nothing is looked up.
  const literal = literalAddress(url);
  if (!allowPrivate && literal !== null && !isPublicAddress(literal)) throw privateAddress(url.hostname);
  const bytes = Buffer.from(body);
  const timeout = AbortSignal.timeout(patience);
  const request = (url.protocol === 'https:' ? secureRequest : plainRequest)(url, {
    method: 'POST',
    // A connection of its own: one that is kept would outlive the check of its address.
    agent: false,
    ...(allowPrivate ? {} : { lookup: publicLookup(resolve) }),
    signal: AbortSignal.any([timeout, signal]),
    headers: {
      ...headers,
      'content-type': 'application/json',
      'content-length': String(bytes.length),
      'user-agent': 'antequem-webhooks/1',
    },
  });
  const { promise, resolve: answer, reject } = Promise.withResolvers<Reply>();
  request.once('response', (response) => {
    answer({ status: response.statusCode ?? 0, retryAfter: secondsOf(response.headers['retry-after']) });
    drain(response);
  });
  // Also those after the answer, which are nobody's concern then.
  request.on('error', reject);
  // After `101 Switching Protocols`, to which nobody here listens, that is all that is heard.
  request.once('close', () => reject(new Error('the connection ended without an answer')));
  request.end(bytes);
  try {
    return await promise;
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof AntequemError) throw cause;
    if (timeout.aborted) {
      throw new AntequemError('receiver-silent', `no answer within ${patience / 1_000} s`, { cause });
    }
    throw new AntequemError('receiver-unreachable', `no answer: ${reasonOf(cause)}`, { cause });
  }
}

function drain(response: IncomingMessage): void {
  let read = 0;
  const cut = setTimeout(() => response.destroy(), READ_MS);
  response.on('error', () => {});
  response.on('close', () => clearTimeout(cut));
  response.on('data', (chunk: Buffer) => {
    read += chunk.length;
    if (read > MOST_READ) response.destroy();
  });
}

/** Seconds alone: of a date we would believe the receiver's clock. */
function secondsOf(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,7}$/.test(header) ? Number(header) * 1_000 : null;
}

function reasonOf(cause: unknown): string {
  // Several addresses were tried.
  const error: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  return messageOf(error).slice(0, 200);
}
