// JSON-RPC over HTTP. Each request has a deadline and its answer a bound, few are under way at once, and a node that asks
// for fewer requests gets fewer.

import * as z from 'zod/mini';
import { collectAtMost } from '../core/bounded.ts';
import { excerpt } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';

export interface RpcClientOptions {
  /** http or https; may hold user and password. */
  readonly url: string;
  /** For one request, repeats included. Default 10,000. */
  readonly timeoutMs?: number;
}

/** A node that was asked for something it does not do, or refused. */
export class RpcRefusal extends AntequemError {
  /** Whether the node does not offer the method at all. */
  readonly methodUnknown: boolean;

  constructor(message: string, methodUnknown: boolean) {
    super('rpc-refused', message);
    this.methodUnknown = methodUnknown;
  }
}

/** A full block of Ethereum with all its receipts stays below half of it. */
const MAX_ANSWER_BYTES = 32 * 1_048_576;
const MAX_AT_ONCE = 16;
/** Repeats of a request that came too soon for the node. */
const MAX_REPEATS = 6;
const FIRST_PAUSE_MS = 200;
/** However long a node asks us to wait. */
const MAX_PAUSE_MS = 600_000;
/** After so many requests in a row without an answer the next ones wait for `SILENT_MS` only. */
const SILENT_AFTER = 3;
const SILENT_MS = 2_000;

const answerForm = z.object({
  result: z.optional(z.unknown()),
  error: z.optional(
    z.nullable(z.object({ code: z.optional(z.unknown()), message: z.optional(z.nullable(z.string())) })),
  ),
});

type Reply =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'throttled'; readonly says: string; readonly pauseMs: number | null };

/** One node. All requests to it share its pauses. */
export class RpcClient {
  /** Names the node without the secrets that its URL may hold. */
  readonly host: string;
  readonly #url: URL;
  readonly #authorization: string | null;
  readonly #timeoutMs: number;
  readonly #underWay = new Set<AbortController>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #closed = false;
  /** Requests that the node seems to bear at once. */
  #width = MAX_AT_ONCE;
  /** By the monotonic clock. */
  #restUntil = 0;
  /** Requests in a row that timed out. */
  #timeouts = 0;

  constructor({ url, timeoutMs = 10_000 }: RpcClientOptions) {
    this.#url = new URL(url);
    this.host = this.#url.host;
    const { username, password } = this.#url;
    const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.#authorization = username === '' && password === '' ? null : `Basic ${Buffer.from(login).toString('base64')}`;
    // A fetch refuses URLs with user and password.
    this.#url.username = '';
    this.#url.password = '';
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The result, of whatever form.
   * @throws AntequemError `rpc-failed` (no answer in time, or none that is JSON-RPC), `rpc-throttled` (the node wants
   *   fewer requests), `rpc-refused` (`RpcRefusal`: the node said no)
   */
  async ask(method: string, params: readonly unknown[]): Promise<unknown> {
    const timeoutMs = Math.min(this.#timeoutMs, this.#timeouts >= SILENT_AFTER ? SILENT_MS : this.#timeoutMs);
    const controller = new AbortController();
    if (this.#closed) throw this.#failure(method, 'the connection is closed');
    this.#underWay.add(controller);
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      return await this.#askUntil(performance.now() + timeoutMs, method, params, controller.signal);
    } catch (error) {
      if (error instanceof AntequemError) throw error;
      if (!controller.signal.aborted) throw this.#failure(method, causeOf(error));
      if (this.#closed) throw this.#failure(method, 'the connection is closed');
      this.#timeouts += 1;
      throw this.#failure(method, 'no answer in time');
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(controller);
    }
  }

  /** Ends all requests under way. */
  close(): void {
    this.#closed = true;
    for (const controller of this.#underWay) controller.abort();
  }

  async #askUntil(deadline: number, method: string, params: readonly unknown[], signal: AbortSignal): Promise<unknown> {
    for (let repeats = 0; ; repeats++) {
      await this.#pause(deadline, method, signal);
      const reply = await this.#inTurn(signal, () => this.#post(method, params, signal));
      if (reply.kind === 'result') {
        this.#width = Math.min(MAX_AT_ONCE, this.#width + 0.1);
        return reply.result;
      }
      this.#width = Math.max(1, this.#width / 2);
      const pauseMs = Math.min(reply.pauseMs ?? FIRST_PAUSE_MS * 2 ** repeats, MAX_PAUSE_MS);
      this.#restUntil = Math.max(this.#restUntil, performance.now() + pauseMs);
      if (repeats >= MAX_REPEATS) throw this.#throttled(method, reply.says);
    }
  }

  /** Waits until the node wants to be asked again, or fails at once where that is past the deadline. */
  async #pause(deadline: number, method: string, signal: AbortSignal): Promise<void> {
    const until = this.#restUntil;
    const pauseMs = until - performance.now();
    if (pauseMs <= 0) return;
    if (until >= deadline) {
      throw this.#throttled(method, `it wants no requests for another ${Math.ceil(pauseMs / 1_000)} s`);
    }
    await aborted(signal, (resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      return () => clearTimeout(timer);
    });
  }

  /** Does the work once fewer requests are under way than the node bears. */
  async #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    while (this.#running >= Math.floor(this.#width)) {
      await aborted(signal, (resolve) => {
        this.#waiting.push(resolve);
        return () => {
          const place = this.#waiting.indexOf(resolve);
          if (place >= 0) this.#waiting.splice(place, 1);
        };
      });
    }
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #post(method: string, params: readonly unknown[], signal: AbortSignal): Promise<Reply> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.#authorization === null ? {} : { authorization: this.#authorization }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      redirect: 'error',
      signal,
    });
    const body = await collectAtMost(response.body, MAX_ANSWER_BYTES);
    this.#timeouts = 0;
    if (body === null) throw this.#failure(method, `its answer has more than ${MAX_ANSWER_BYTES} bytes`);
    const { status } = response;
    // Each request is sent by itself, so the answer is its own, whatever id it has: errors of gateways have none.
    const answer = answerForm.safeParse(parseJson(body), { jitless: true }).data ?? null;
    const error = answer?.error ?? null;
    const says = error === null ? `status ${status}` : excerpt(error.message ?? `error ${String(error.code)}`);
    const pauseMs = pauseOf(response.headers);
    if (status === 429 || (status === 503 && pauseMs !== null) || isThrottling(error?.code, error?.message ?? '')) {
      return { kind: 'throttled', says, pauseMs };
    }
    if (error !== null)
      throw new RpcRefusal(this.#text(method, says), isUnknown(error.code, says) || isRefused(status));
    if (isRefused(status)) throw new RpcRefusal(this.#text(method, says), true);
    if (status !== 200 || answer?.result === undefined) {
      throw this.#failure(method, status === 200 ? 'the answer is not of the form expected' : says);
    }
    return { kind: 'result', result: answer.result };
  }

  #text(method: string, why: string): string {
    return `${this.host}, ${method}: ${why}`;
  }

  #failure(method: string, why: string): AntequemError {
    return new AntequemError('rpc-failed', this.#text(method, why));
  }

  #throttled(method: string, why: string): AntequemError {
    return new AntequemError(
      'rpc-throttled',
      `${this.#text(method, why)}; the node throttles us: raise its limit, or name more endpoints in EVM_RPC_URLS`,
    );
  }
}

/** Resolves as `start` says, or rejects once the signal is aborted. */
function aborted(signal: AbortSignal, start: (resolve: () => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return void reject(signal.reason);
    const onAbort = (): void => {
      undo();
      reject(signal.reason);
    };
    const undo = start(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** What `Retry-After` asks for in milliseconds; null without one in seconds. */
function pauseOf(headers: Headers): number | null {
  const seconds = headers.get('retry-after') ?? '';
  return /^\d{1,9}$/.test(seconds) ? Number(seconds) * 1_000 : null;
}

const THROTTLING =
  /too many requests|rate.?limit|request limit|limit (?:reached|exceeded)|throttl|compute units|per second|slow down/i;
/** What the same codes and words say of questions that are too large. */
const TOO_LARGE = /results|range|logs|block|gas|size|response/i;

function isThrottling(code: unknown, message: string): boolean {
  if (code === 429 || code === '429') return true;
  return (code === -32_005 || THROTTLING.test(message)) && !TOO_LARGE.test(message);
}

function isUnknown(code: unknown, message: string): boolean {
  return (
    code === -32_601 ||
    code === -32_004 ||
    /(?:unsupported|unknown) (?:method|function)|(?:method|function).{0,80}(?:not|un)[ -]?(?:exist|found|available|support|allow|known|implemented|whitelisted)/i.test(
      message,
    )
  );
}

/** Statuses by which gateways refuse methods, and not requests in general. */
function isRefused(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 402, 407, 408, 425, 429].includes(status);
}

/** Why nothing came, without the URL. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
