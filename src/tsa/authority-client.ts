// Asking a timestamp authority over HTTP (RFC 3161 section 3.4). What comes back is anybody's bytes.

import { collectAtMost } from '../core/bounded.ts';
import { AntequemError, FormatError } from '../core/errors.ts';
import { MAX_TOKEN_BYTES } from './asn1.ts';
import { parseResponse } from './token.ts';

/** An authority did not give a token. Code `authority-failed`; the message says why, without the address. */
export class AuthorityError extends AntequemError {
  /** Milliseconds after which it wants to be asked again; null: it did not say. */
  readonly retryAfter: number | null;

  constructor(message: string, retryAfter: number | null = null) {
    super('authority-failed', message);
    this.name = 'AuthorityError';
    this.retryAfter = retryAfter;
  }
}

export interface AuthorityClient {
  /** The token for a request, DER, unchecked. @throws AuthorityError */
  stamp(url: string, request: Uint8Array): Promise<Uint8Array>;
  /** Ends what is under way. */
  close(): void;
}

const MAX_RETRY_AFTER_MS = 3_600_000;

/** @param timeout milliseconds for each question, the whole answer included */
export function authorityClient(timeout: number): AuthorityClient {
  const closing = new AbortController();
  return {
    async stamp(url, request) {
      let status: number;
      let headers: Headers;
      let bytes: Uint8Array | null;
      try {
        const response = await fetch(url, {
          method: 'POST',
          headers: {
            'content-type': 'application/timestamp-query',
            accept: 'application/timestamp-reply',
            'accept-encoding': 'identity',
            'user-agent': 'antequem',
          },
          body: new Uint8Array(request),
          // Only what is configured is asked.
          redirect: 'manual',
          signal: AbortSignal.any([closing.signal, AbortSignal.timeout(timeout)]),
        });
        ({ status, headers } = response);
        bytes = await collectAtMost(response.body, MAX_TOKEN_BYTES);
      } catch (error) {
        throw new AuthorityError(`it did not answer: ${reasonOf(error, timeout)}`);
      }
      if (status !== 200) throw new AuthorityError(`it answered with status ${status}`, retryAfterOf(headers));
      if (bytes === null) throw new AuthorityError(`it answered with more than ${MAX_TOKEN_BYTES} bytes`);
      return tokenIn(bytes, headers.get('content-type') ?? '');
    },
    close: () => closing.abort(),
  };
}

function tokenIn(bytes: Uint8Array, type: string): Uint8Array {
  if (!/^application\/timestamp-reply\b/i.test(type)) {
    throw new AuthorityError(`it answered with ${JSON.stringify(type.slice(0, 60))}, not application/timestamp-reply`);
  }
  try {
    const response = parseResponse(bytes);
    if (response.granted) return response.token;
    throw new AuthorityError(`it gave no token: ${response.says}`);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new AuthorityError(`its answer is no timestamp response: ${error.message}`);
  }
}

function retryAfterOf(headers: Headers): number | null {
  const seconds = headers.get('retry-after') ?? '';
  return /^\d{1,9}$/.test(seconds) ? Math.min(Number(seconds) * 1_000, MAX_RETRY_AFTER_MS) : null;
}

function reasonOf(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return 'for a reason unknown';
  if (error.name === 'TimeoutError') return `it took more than ${timeout} ms`;
  if (error.name === 'AbortError') return 'the service is stopping';
  return error.cause instanceof Error && 'code' in error.cause ? String(error.cause.code) : 'the connection failed';
}
