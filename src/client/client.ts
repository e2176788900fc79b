import type * as z from 'zod';
import { concat } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { type Appended, appended, type Erased, erased, type LogDescription, logDescription } from './answers.ts';
import { failureOf, UnreachableError } from './failure.ts';

export interface ClientOptions {
  /** Where the service answers, such as `http://127.0.0.1:3963`. */
  readonly url: string;
  /** Sent as a Bearer token. */
  readonly apiKey?: string;
  /** Milliseconds without an answer after which a request counts as lost; 60 s by default. */
  readonly timeout?: number;
  readonly fetch?: typeof fetch;
  readonly now?: () => number;
}

/** How to send an append. */
export interface AppendOptions {
  /** The same key and body is stored once, however often it is sent within 7 days. */
  readonly idempotencyKey: string;
  readonly signal?: AbortSignal;
}

/** How far a receipt has come. */
export type Stage = 'round' | 'included' | 'finalized' | 'bitcoin';

/** Bytes an .ots file of a service may have. */
const MAX_OTS = 262_144;

interface Request {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds the service was asked to hold on, beyond the timeout. */
  readonly holds?: number;
}

/**
 * The HTTP API (`/v1`), for wherever fetch runs. Each call is one request: what to repeat is the caller's to decide
 * (`retrying`). Calls throw ServiceError for a problem, UnreachableError where no answer came, AntequemError
 * `answer-invalid` for an answer that is not this API's.
 */
export class Client {
  readonly url: string;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.url = options.url.replace(/\/+$/, '');
  }

  /** Creates a log, or finds it there. */
  async createLog(log: string, signal?: AbortSignal): Promise<LogDescription> {
    return this.#json(logDescription, logPath(log), { method: 'PUT', signal });
  }

  async describeLog(log: string, signal?: AbortSignal): Promise<LogDescription> {
    return this.#json(logDescription, logPath(log), { signal });
  }

  /** One entry per line of `body`, without its newline; blank lines are skipped. All or none. */
  async appendLines(log: string, body: Uint8Array<ArrayBuffer>, options: AppendOptions): Promise<Appended> {
    return this.#append(`${logPath(log)}/entries?split=lines`, 'application/octet-stream', body, options);
  }

  /** One entry per digest (SHA-256, lower-case hex); the payloads stay here. All or none. */
  async appendDigests(log: string, digests: readonly string[], options: AppendOptions): Promise<Appended> {
    return this.#append(`${logPath(log)}/digests`, 'application/json', JSON.stringify({ digests }), options);
  }

  /**
   * The receipt of an entry as the service gives it: attacker-controlled JSON, to be parsed by whoever relies on it.
   * @param hold `wait` seconds (at most 60) that the service may hold on for the stage `until`
   */
  async receipt(
    log: string,
    index: number,
    hold: { wait: number; until: Stage },
    signal?: AbortSignal,
  ): Promise<unknown> {
    const query = hold.wait > 0 ? `?wait=${hold.wait}&until=${hold.until}` : '';
    const response = await this.#send(`${logPath(log)}/entries/${index}/receipt${query}`, {
      signal,
      holds: hold.wait * 1000,
    });
    return this.#body(response);
  }

  /** Where an entry stands in its log, as a C2SP tlog-proof: attacker-controlled text. */
  async tlogProof(log: string, index: number, signal?: AbortSignal): Promise<string> {
    return this.#text(await this.#send(`${logPath(log)}/entries/${index}/receipt.tlog-proof`, { signal }));
  }

  /**
   * The receipt as a file of OpenTimestamps, at most 256 KiB: attacker-controlled bytes.
   * Beside a problem throws AntequemError `answer-invalid` for more.
   */
  async receiptOts(log: string, index: number, signal?: AbortSignal): Promise<Uint8Array> {
    const response = await this.#send(`${logPath(log)}/entries/${index}/receipt.ots`, { signal });
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const chunk of response.body ?? []) {
        chunks.push(chunk);
        length += chunk.length;
        if (length > MAX_OTS) break;
      }
    } catch (error) {
      throw this.#lost(error);
    }
    if (length > MAX_OTS) throw this.#foreign(new Error(`more than ${MAX_OTS} bytes`));
    return concat(...chunks);
  }

  /** The RFC 9162 consistency proof between two sizes of a log, as the service gives it. */
  async consistency(log: string, from: number, to: number, signal?: AbortSignal): Promise<unknown> {
    const response = await this.#send(`${logPath(log)}/proofs/consistency?from=${from}&to=${to}`, { signal });
    return this.#body(response);
  }

  /** Erases payload, digest and nonce of an entry, for ever; that they are gone already is no error. */
  async erase(log: string, index: number, signal?: AbortSignal): Promise<Erased> {
    return this.#json(erased, `${logPath(log)}/entries/${index}/payload`, { method: 'DELETE', signal });
  }

  /** A call that has no method of its own here; what of its answer `schema` does not name is left out. */
  async call<T>(schema: z.ZodType<T>, method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<T> {
    return this.#json(schema, path, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
  }

  async #append(
    path: string,
    type: string,
    body: Uint8Array<ArrayBuffer> | string,
    options: AppendOptions,
  ): Promise<Appended> {
    return this.#json(appended, path, {
      method: 'POST',
      headers: { 'content-type': type, 'idempotency-key': options.idempotencyKey },
      body,
      signal: options.signal,
    });
  }

  async #json<T>(schema: z.ZodType<T>, path: string, request: Request): Promise<T> {
    const body = await this.#body(await this.#send(path, request));
    const parsed = schema.safeParse(body);
    if (!parsed.success) throw this.#foreign(parsed.error);
    return parsed.data;
  }

  async #body(response: Response): Promise<unknown> {
    const text = await this.#text(response);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw this.#foreign(error);
    }
  }

  async #text(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      throw this.#lost(error);
    }
  }

  async #send(path: string, request: Request): Promise<Response> {
    const timeout = AbortSignal.timeout((this.#options.timeout ?? 60_000) + (request.holds ?? 0));
    const { apiKey } = this.#options;
    let response: Response;
    try {
      response = await (this.#options.fetch ?? fetch)(`${this.url}${path}`, {
        method: request.method ?? 'GET',
        headers: { ...request.headers, ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }) },
        signal: request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]),
        ...(request.body === undefined ? {} : { body: request.body }),
      });
    } catch (error) {
      request.signal?.throwIfAborted();
      throw this.#lost(error);
    }
    if (response.ok) return response;
    throw await failureOf(response, (this.#options.now ?? Date.now)());
  }

  #lost(error: unknown): UnreachableError {
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      return new UnreachableError('service-timeout', `no answer from ${this.url} in time`, { cause: error });
    }
    const reason = innermost(error);
    return new UnreachableError('service-unreachable', `no answer from ${this.url} (${reason})`, { cause: error });
  }

  #foreign(cause: unknown): AntequemError {
    return new AntequemError(
      'answer-invalid',
      `what answers at ${this.url} is not an Antequem service of this version`,
      {
        cause,
      },
    );
  }
}

function logPath(log: string): string {
  return `/v1/logs/${encodeURIComponent(log)}`;
}

/** fetch wraps what happened to the connection, at times twice. */
function innermost(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
  return inner instanceof Error ? inner.message : String(inner);
}
