import { concatAll } from '../core/bytes.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import { MAX_COSE_RECEIPT_BYTES } from '../core/limits.ts';
import {
  type AppendAnswer,
  type Erased,
  type LogDescription,
  type Reader,
  readAppended,
  readErased,
  readLogDescription,
  readStored,
} from './answers.ts';
import { failureOf, UnreachableError } from './failure.ts';
import { linesOf } from './lines.ts';
import {
  type LegalHold,
  type LegalHolds,
  type LogRetention,
  type NewHold,
  readLegalHold,
  readLegalHolds,
  readLogRetention,
} from './retention.ts';
import { type AppendOptions, LogWriter, type ReceiptStage, type WriterOptions } from './writer.ts';

export { AntequemError, FormatError } from '../core/errors.ts';
// Applications know these by their short names, and keep them.
export type { AppendAnswer as Appended, Erased, LogDescription } from './answers.ts';
export type { EntryContent as Content } from './batch.ts';
export type { AppendedEntry as Entry, KeptEntry } from './check.ts';
export { ServiceError, UnreachableError } from './failure.ts';
export {
  type CheckedReceipt as Receipt,
  isEvmAnchor,
  isOpenTimestampsAnchor,
  type ReceivedAnchor as Anchor,
  type ReceivedEvmAnchor as EvmAnchor,
  type ReceivedOpenTimestampsAnchor as OpenTimestampsAnchor,
  type ReceivedRound as Round,
  type ReceivedUnknownAnchor as UnknownAnchor,
} from './receipt.ts';
export type {
  LegalHold as Hold,
  LegalHolds as Holds,
  LogRetention as Retention,
  NewHold,
} from './retention.ts';
export { type AppendOptions, LogWriter, type ReceiptStage as Stage, type WriterOptions } from './writer.ts';

export interface ClientOptions {
  /** Address of the service, such as `http://127.0.0.1:3963`. */
  readonly url: string;
  /** Sent as a Bearer token. */
  readonly apiKey?: string;
  /** Milliseconds without an answer after which a request counts as lost; 60 s by default. */
  readonly timeout?: number;
  readonly fetch?: typeof fetch;
  readonly now?: () => number;
}

export interface CreateLogOptions {
  /** Whether entries have nonces, which keep others from guessing what was logged. Fixed for ever; default true. */
  readonly blinded?: boolean;
  readonly signal?: AbortSignal;
}

/** Bytes an .ots file of a service may have. */
const MAX_OTS = 262_144;

/** Checks the form of an answer, such as a schema of zod. */
export interface AnswerSchema<T> {
  safeParse(
    json: unknown,
  ): { readonly success: true; readonly data: T } | { readonly success: false; readonly error?: unknown };
}

interface Request {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the service was asked to hold the request, beyond the timeout. */
  readonly holds?: number;
  /** The answer has no time limit. */
  readonly endless?: boolean;
}

/**
 * The HTTP API (`/v1`), wherever fetch runs. Each call is one request: the caller decides what to repeat (`retrying`). Calls throw ServiceError for a problem, UnreachableError where no answer came, AntequemError
 * `answer-invalid` for an answer that is not this API's.
 */
export class Client implements AsyncDisposable {
  readonly url: string;
  readonly #options: ClientOptions;

  readonly #writers = new Map<string, LogWriter>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.url = options.url.replace(/\/+$/, '');
  }

  /** The writer that appends to a log in the background: one for each name, made by the first call with its options. */
  log(name: string, options: WriterOptions = {}): LogWriter {
    const writer = this.#writers.get(name) ?? new LogWriter(this, name, options);
    this.#writers.set(name, writer);
    return writer;
  }

  /** Sends what the writers still hold and closes them. */
  async close(): Promise<void> {
    const writers = [...this.#writers.values()];
    this.#writers.clear();
    await Promise.all(writers.map((writer) => writer.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Creates a log unless it exists; `blinded: false` makes its entries' digests readable in the tree. */
  async createLog(log: string, { blinded, signal }: CreateLogOptions = {}): Promise<LogDescription> {
    const query = blinded === undefined ? '' : `?blinded=${blinded}`;
    return this.#json(readLogDescription, `${logPath(log)}${query}`, { method: 'PUT', signal });
  }

  async describeLog(log: string, signal?: AbortSignal): Promise<LogDescription> {
    return this.#json(readLogDescription, logPath(log), { signal });
  }

  /** The whole body as one entry. */
  async appendEntry(log: string, body: Uint8Array<ArrayBuffer>, options: AppendOptions): Promise<AppendAnswer> {
    return this.#append(`${logPath(log)}/entries`, 'application/octet-stream', body, options);
  }

  /** One entry per line of `body`, without its newline; blank lines are skipped. All or none. */
  async appendLines(log: string, body: Uint8Array<ArrayBuffer>, options: AppendOptions): Promise<AppendAnswer> {
    return this.#append(`${logPath(log)}/entries?split=lines`, 'application/octet-stream', body, options);
  }

  /** One entry per digest (SHA-256, lower-case hex); the payloads stay here. All or none. */
  async appendDigests(log: string, digests: readonly string[], options: AppendOptions): Promise<AppendAnswer> {
    return this.#append(`${logPath(log)}/digests`, 'application/json', JSON.stringify({ digests }), options);
  }

  /**
   * The receipt of an entry as the service gives it: untrusted JSON, to be parsed before it is relied on.
   * @param hold `wait` seconds (at most 60) that the service may hold on for the stage `until`
   */
  async receipt(
    log: string,
    index: number,
    hold: { wait: number; until: ReceiptStage },
    signal?: AbortSignal,
  ): Promise<unknown> {
    const query = hold.wait > 0 ? `?wait=${hold.wait}&until=${hold.until}` : '';
    const response = await this.#send(`${logPath(log)}/entries/${index}/receipt${query}`, {
      signal,
      holds: hold.wait * 1000,
    });
    return this.#body(response);
  }

  /** Whether the contract of the first target can be asked about an entry. The entry's round must have closed. */
  async isStored(log: string, index: number, signal?: AbortSignal): Promise<boolean> {
    return (await this.#json(readStored, `${logPath(log)}/entries/${index}/receipt.path`, { signal })).stored;
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
    return this.#bytes(await this.#send(`${logPath(log)}/entries/${index}/receipt.ots`, { signal }), MAX_OTS);
  }

  /**
   * Where an entry stands in its log, as a COSE receipt (RFC 9942) of at most 8 KiB: attacker-controlled bytes.
   * @param entry whether it carries the entry and its nonce, which `verify` needs
   */
  async receiptCose(log: string, index: number, entry: boolean, signal?: AbortSignal): Promise<Uint8Array> {
    const response = await this.#send(`${logPath(log)}/entries/${index}/receipt.cose?entry=${entry}`, { signal });
    return this.#bytes(response, MAX_COSE_RECEIPT_BYTES);
  }

  /**
   * The response of a timestamp authority (RFC 3161) for the round of an entry: attacker-controlled bytes.
   * @param authority the service's name for it; without: the earliest
   */
  async receiptTsr(log: string, index: number, authority?: string, signal?: AbortSignal): Promise<Uint8Array> {
    const of = authority === undefined ? '' : `?authority=${encodeURIComponent(authority)}`;
    return this.#bytes(await this.#send(`${logPath(log)}/entries/${index}/receipt.tsr${of}`, { signal }), MAX_OTS);
  }

  async #bytes(response: Response, max: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const chunk of response.body ?? []) {
        chunks.push(chunk);
        length += chunk.length;
        if (length > max) break;
      }
    } catch (error) {
      throw this.#lost(error);
    }
    if (length > max) throw this.#foreign(new Error(`more than ${max} bytes`));
    return concatAll(chunks);
  }

  /**
   * The lines of an export as they come, each a JSON object: attacker-controlled text. A stream that breaks off ends in an
   * UnreachableError: go on behind the last line.
   */
  async *exportLines(log: string, query: URLSearchParams, signal?: AbortSignal): AsyncGenerator<string> {
    const response = await this.#send(`${logPath(log)}/export?${query}`, { signal, endless: true });
    try {
      if (response.body !== null) yield* linesOf(response.body);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#lost(error);
    }
  }

  /** The RFC 9162 consistency proof between two sizes of a log, as the service gives it. */
  async consistency(log: string, from: number, to: number, signal?: AbortSignal): Promise<unknown> {
    const response = await this.#send(`${logPath(log)}/proofs/consistency?from=${from}&to=${to}`, { signal });
    return this.#body(response);
  }

  /** Erases payload, digest and nonce of an entry, for ever; that they are gone already is no error. */
  async erase(log: string, index: number, signal?: AbortSignal): Promise<Erased> {
    return this.#json(readErased, `${logPath(log)}/entries/${index}/payload`, { method: 'DELETE', signal });
  }

  /** How long a log keeps its entries, and what was erased and is due. */
  async retention(log: string, signal?: AbortSignal): Promise<LogRetention> {
    return this.#json(readLogRetention, `${logPath(log)}/retention`, { signal });
  }

  /** Has entries erased once they are older than `period`, such as `400d`, `36h` or `90m`. */
  async setRetention(log: string, period: string, signal?: AbortSignal): Promise<LogRetention> {
    return this.#json(readLogRetention, `${logPath(log)}/retention`, {
      method: 'PUT',
      ...jsonBody({ period }),
      signal,
    });
  }

  /** Has entries kept for ever. What `_system` names as erased already is still erased. */
  async clearRetention(log: string, signal?: AbortSignal): Promise<LogRetention> {
    return this.#json(readLogRetention, `${logPath(log)}/retention`, { method: 'DELETE', signal });
  }

  /** The legal holds of a log; without one, of all. */
  async holds(log?: string, signal?: AbortSignal): Promise<LegalHolds> {
    return this.#json(readLegalHolds, log === undefined ? '/v1/holds' : `${logPath(log)}/holds`, { signal });
  }

  /** Puts entries under a legal hold. Each call adds one: where no answer came, `holds` tells whether it was added. */
  async addHold(log: string, hold: NewHold, signal?: AbortSignal): Promise<LegalHold> {
    return this.#json(readLegalHold, `${logPath(log)}/holds`, { method: 'POST', ...jsonBody(hold), signal });
  }

  /** Removes a legal hold. What it kept and is older than the log keeps it is erased by the next run. */
  async removeHold(log: string, id: string, signal?: AbortSignal): Promise<void> {
    const path = `${logPath(log)}/holds/${encodeURIComponent(id)}`;
    await this.#body(await this.#send(path, { method: 'DELETE', signal }));
  }

  /** After a database was set back: these are all holds, and erasing goes on. @param ids of all holds that there are */
  async confirmHolds(ids: readonly string[], signal?: AbortSignal): Promise<LegalHolds> {
    return this.#json(readLegalHolds, '/v1/holds/confirmation', {
      method: 'POST',
      ...jsonBody({ holds: ids }),
      signal,
    });
  }

  /** A call that has no method of its own here; what of its answer `schema` does not name is left out. */
  async call<T>(
    schema: AnswerSchema<T>,
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<T> {
    const read: Reader<T> = (json) => {
      const parsed = schema.safeParse(json);
      return parsed.success ? parsed.data : null;
    };
    return this.#json(read, path, { method, ...(body === undefined ? {} : jsonBody(body)) });
  }

  async #append(
    path: string,
    type: string,
    body: Uint8Array<ArrayBuffer> | string,
    options: AppendOptions,
  ): Promise<AppendAnswer> {
    return this.#json(readAppended, path, {
      method: 'POST',
      headers: { 'content-type': type, 'idempotency-key': options.idempotencyKey },
      body,
      signal: options.signal,
    });
  }

  async #json<T>(read: Reader<T>, path: string, request: Request): Promise<T> {
    const answer = read(await this.#body(await this.#send(path, request)));
    if (answer === null) throw this.#foreign(new Error('the answer has another form'));
    return answer;
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
    const signals = [
      ...(request.endless === true
        ? []
        : [AbortSignal.timeout((this.#options.timeout ?? 60_000) + (request.holds ?? 0))]),
      ...(request.signal === undefined ? [] : [request.signal]),
    ];
    const { apiKey } = this.#options;
    let response: Response;
    try {
      response = await (this.#options.fetch ?? fetch)(`${this.url}${path}`, {
        method: request.method ?? 'GET',
        headers: { ...request.headers, ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }) },
        signal: AbortSignal.any(signals),
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
      `the answer from ${this.url} is not that of an Antequem service of this version`,
      {
        cause,
      },
    );
  }
}

function jsonBody(body: object): Pick<Request, 'headers' | 'body'> {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function logPath(log: string): string {
  return `/v1/logs/${encodeURIComponent(log)}`;
}

/** fetch wraps what happened to the connection, at times twice. */
function innermost(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
  return messageOf(inner);
}
