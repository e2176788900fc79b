// One delivery attempt: a POST that follows no redirect, reads little, and ends in time whatever the receiver does.

import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { AntequemError, messageOf } from '../core/errors.ts';
import {
  isPublicAddress,
  literalAddress,
  privateAddress,
  publicLookup,
  type Resolve,
  systemResolve,
} from './destination.ts';

/** Bytes read of an answer, so that the receiver can finish sending it. */
const MOST_READ = 16 << 10;
const READ_MS = 2_000;

export interface PostOptions {
  readonly allowPrivate: boolean;
  /** Milliseconds from the start to the answer's headers. */
  readonly patience: number;
  readonly signal: AbortSignal;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** A receiver's answer. */
export interface Reply {
  readonly status: number;
  /** The value of `Retry-After` in milliseconds; null without one. */
  readonly retryAfter: number | null;
}

/** @throws AntequemError `address-private`, `receiver-silent`, `receiver-unreachable`; whatever the signal is aborted with */
export async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  { allowPrivate, patience, signal, resolve = systemResolve }: PostOptions,
): Promise<Reply> {
  // An address in the URL is not looked up, so it is checked here.
  const literal = literalAddress(url);
  if (!allowPrivate && literal !== null && !isPublicAddress(literal)) throw privateAddress(url.hostname);
  const bytes = Buffer.from(body);
  const timeout = AbortSignal.timeout(patience);
  const request = (url.protocol === 'https:' ? secureRequest : plainRequest)(url, {
    method: 'POST',
    // A new connection each time: a kept connection would skip the check of its address.
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
  // Errors after the answer end here too; the promise is already settled.
  request.on('error', reject);
  // After `101 Switching Protocols` there is no other event, because there is no handler for upgrades.
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

/** Only seconds: a date would depend on the receiver's clock. */
function secondsOf(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,7}$/.test(header) ? Number(header) * 1_000 : null;
}

function reasonOf(cause: unknown): string {
  // With several addresses, each attempt has its own error.
  const error: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  return messageOf(error).slice(0, 200);
}
