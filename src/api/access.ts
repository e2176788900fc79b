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
  async admit(request: Request, scope: Scope, log: string | null): Promise<Caller> {
    const caller = await this.caller(request);
    if (caller !== 'anyone' && !permits(caller, scope, log)) {
      const what = log === null ? '' : ` on the log ${log}`;
      throw new Problem(403, 'forbidden', `this API key does not permit ${scope}${what}`);
    }
    return caller;
  }

  /** Who asks. @throws Problem 401 */
  async caller(request: Request): Promise<Caller> {
    if (this.#open) return 'anyone';
    const [scheme, token] = (request.get('authorization') ?? '').split(' ', 2);
    const key = scheme?.toLowerCase() === 'bearer' && token !== undefined ? await this.#keys.authenticate(token) : null;
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

/**
 * Keeps web pages of other sites away from a service that asks for no key: a browser tells where a request comes from,
 * and a name that merely resolves to loopback is not ours.
 */
export const ownSiteOnly: RequestHandler = (request, _response, next) => {
  const host = (request.get('host') ?? '').replace(/:\d+$/, '');
  const site = request.get('sec-fetch-site');
  if (!['localhost', '127.0.0.1', '[::1]'].includes(host)) {
    throw new Problem(
      403,
      'host-forbidden',
      'in local mode the service answers to localhost, 127.0.0.1 and [::1] alone',
    );
  }
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    throw new Problem(403, 'site-forbidden', 'in local mode the service does not answer pages of other sites');
  }
  next();
};
