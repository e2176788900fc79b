import type { Request, RequestHandler } from 'express';
import { type ApiKey, type ApiKeys, permits, type Scope } from '../access/keys.ts';
import { Problem } from './problem.ts';

/** Who asks: a key, or nobody in particular where everything is open. */
export type Caller = ApiKey | 'anyone';

/** Decides who may do what. */
export class Gate {
  readonly #keys: ApiKeys;
  readonly #open: boolean;

  /** @param open whether everything is allowed without a key: in local mode, on loopback, alone */
  constructor(keys: ApiKeys, open: boolean) {
    this.#keys = keys;
    this.#open = open;
  }

  /** Who asks, if that caller may do this to this log (null: to no log in particular, or to all of them). */
  async admit(request: Request, scope: Scope | 'any', log: string | null): Promise<Caller> {
    const caller = await this.caller(request);
    if (caller !== 'anyone' && !permits(caller, scope, log)) {
      const what = log === null ? '' : ` on the log ${log}`;
      throw new Problem(403, 'forbidden', `this API key does not permit ${scope}${what}`);
    }
    return caller;
  }

  /** The logs that the caller may do this to: null for all of them, and for those yet to be made. */
  async admitSome(request: Request, scope: Scope): Promise<readonly string[] | null> {
    const caller = await this.caller(request);
    const logs = caller === 'anyone' ? null : caller.logs;
    await this.admit(request, scope, logs?.[0] ?? null);
    return logs;
  }

  /** Who asks. @throws Problem 401 */
  async caller(request: Request): Promise<Caller> {
    if (this.#open) return 'anyone';
    const [, token] = /^bearer +([\x21-\x7e]+)$/i.exec(request.get('authorization') ?? '') ?? [];
    const key = token === undefined ? null : await this.#keys.authenticate(token);
    if (key === null) {
      throw new Problem(401, 'unauthorized', 'an API key is needed: send it as `Authorization: Bearer aq_…`', {
        'WWW-Authenticate': 'Bearer',
      });
    }
    return key;
  }
}

/** Whose Idempotency-Keys and rate a request counts against. */
export function ownerOf(caller: Caller): string {
  return caller === 'anyone' ? '' : caller.id;
}

const OWN_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * Keeps web pages of other sites away from a service that asks for no key: a browser tells where a request comes from,
 * and a name that merely resolves to loopback is not ours.
 */
export const ownSiteOnly: RequestHandler = (request, _response, next) => {
  const host = (request.get('host') ?? '').toLowerCase();
  const site = request.get('sec-fetch-site');
  const origin = request.get('origin');
  if (!OWN_HOST.test(host)) {
    throw new Problem(
      403,
      'host-forbidden',
      'in local mode the service answers to localhost, 127.0.0.1 and [::1] alone',
    );
  }
  // Browsers of before 2023 tell the origin alone.
  if (
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin ?? `http://${host}`) !== `http://${host}`
  ) {
    throw new Problem(403, 'site-forbidden', 'in local mode the service does not answer pages of other sites');
  }
  next();
};
