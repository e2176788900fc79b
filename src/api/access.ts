import type { Request } from 'express';
import { type ApiKey, type ApiKeys, permits, type Scope } from '../access/keys.ts';
import type { Quota } from '../access/quota.ts';
import type { Sessions } from '../access/sessions.ts';
import { Problem } from './problem.ts';
import { charge } from './rate-limit.ts';

/** The caller: an API key, or null where everything is open. */
export type Caller = ApiKey | 'anyone';

/** Decides which caller may do what. */
export class Gate {
  readonly #keys: ApiKeys;
  readonly #sessions: Sessions;
  readonly #open: boolean;
  readonly #quota: Quota | null;

  /**
   * @param open whether everything is allowed without a key: in local mode, on loopback, alone
   * @param quota how much each caller may ask; null: as much as it likes
   */
  constructor(keys: ApiKeys, sessions: Sessions, open: boolean, quota: Quota | null) {
    this.#keys = keys;
    this.#sessions = sessions;
    this.#open = open;
    this.#quota = quota;
  }

  /** The caller, if it may do this to this log (null: to no single log, or to all logs). */
  admit(request: Request, scope: Scope | 'any', log: string | null): Caller | Promise<Caller> {
    const caller = this.caller(request);
    return caller instanceof Promise
      ? caller.then((known) => demanded(known, scope, log))
      : demanded(caller, scope, log);
  }

  /** The logs that the caller may do this to: null for all of them, and for those yet to be made. */
  async admitSome(request: Request, scope: Scope): Promise<readonly string[] | null> {
    const caller = await this.caller(request);
    const logs = caller === 'anyone' ? null : caller.logs;
    demanded(caller, scope, logs?.[0] ?? null);
    return logs;
  }

  /** The caller; the request counts against its quota. @throws Problem 401, 429 */
  caller(request: Request): Caller | Promise<Caller> {
    const caller = this.identify(request);
    return caller instanceof Promise
      ? caller.then((known) => this.#charged(known, request))
      : this.#charged(caller, request);
  }

  #charged(caller: Caller | null, request: Request): Caller | Promise<Caller> {
    if (caller === null) {
      throw new Problem('unauthorized', 'an API key is needed: send it as `Authorization: Bearer aq_…`', {
        'WWW-Authenticate': 'Bearer',
      });
    }
    const charging = this.#quota === null ? undefined : charge(this.#quota, ownerOf(caller), request.res);
    return charging instanceof Promise ? charging.then(() => caller) : caller;
  }

  /** The caller, by the API key that was sent or else by the session of a browser; null if it is unknown. */
  identify(request: Request): Caller | null | Promise<Caller | null> {
    if (this.#open) return 'anyone';
    const authorization = request.get('authorization');
    if (authorization === undefined) {
      const secret = sessionSecret(request);
      // What a browser sends by itself counts for our own pages alone.
      return secret !== null && fromOwnPage(request) ? this.#sessions.find(secret) : null;
    }
    const [, token] = /^bearer +([\x21-\x7e]+)$/i.exec(authorization) ?? [];
    return token === undefined ? null : this.#keys.authenticate(token);
  }
}

/** The caller. @throws Problem 403 */
function demanded(caller: Caller, scope: Scope | 'any', log: string | null): Caller {
  if (caller === 'anyone' || permits(caller, scope, log)) return caller;
  const what = log === null ? '' : ` on the log ${log}`;
  throw new Problem('forbidden', `this API key does not permit ${scope}${what}`);
}

/** Whose Idempotency-Keys and rate a request counts against. */
export function ownerOf(caller: Caller): string {
  return caller === 'anyone' ? '' : caller.id;
}

/** With the prefix a cookie comes by TLS and from this host, or not at all. */
export const COOKIE = 'antequem';
export const SECURE_COOKIE = '__Host-antequem';

/** The secret of the session in the request's cookies. */
export function sessionSecret(request: Request): string | null {
  const cookies = new Map(
    (request.get('cookie') ?? '').split(';').map((cookie) => {
      const [name = '', value = ''] = cookie.split('=', 2);
      return [name.trim(), value.trim()] as const;
    }),
  );
  return cookies.get(SECURE_COOKIE) ?? cookies.get(COOKIE) ?? null;
}

/** Whether a request comes from a page of ours, or was typed by its user: a browser tells, in one way or the other. */
export function fromOwnPage(request: Request): boolean {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const site = request.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin' || (site === 'none' && reads);
  const origin = request.get('origin');
  if (origin !== undefined) return URL.parse(origin)?.host === request.get('host')?.toLowerCase();
  // Over plain HTTP beyond loopback neither comes with a read; the cookie is a strict one.
  return reads;
}

const OWN_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** Local mode answers to its own names alone: a page of another site may have a name that resolves to loopback. */
export function demandOwnHost(request: Request): void {
  if (!OWN_HOST.test((request.headers.host ?? '').toLowerCase())) {
    throw new Problem('host-forbidden', 'in local mode the service answers to localhost, 127.0.0.1 and [::1] alone');
  }
}

/** Keeps web pages of other sites away from a service that asks for no key: a browser tells where a request comes from. */
export function demandOwnSite(request: Request): void {
  const { host = '', origin } = request.headers;
  const site = request.get('sec-fetch-site');
  // Browsers of before 2023 tell the origin alone.
  if (
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin !== undefined && origin !== `http://${host.toLowerCase()}`)
  ) {
    throw new Problem('site-forbidden', 'in local mode the service does not answer pages of other sites');
  }
}
