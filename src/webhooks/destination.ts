// Where webhooks may go: checked when one is made, and again at each connection on the address that is connected to.

import { type LookupAddress, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { AntequemError, FormatError } from '../core/errors.ts';
import { isPublicAddress } from './address.ts';

const MAX_URL = 2_048;

/**
 * A URL that webhooks may be sent to: https, or http where private addresses are allowed.
 * @throws FormatError `webhook-url-invalid`
 */
export function parseDestination(text: string, allowPrivate: boolean): URL {
  const url = text.length > MAX_URL ? null : URL.parse(text);
  const fail = (says: string): never => {
    throw new FormatError('webhook-url-invalid', `the URL of a webhook ${says}`);
  };
  if (url === null) return fail(`must be a URL of at most ${MAX_URL} characters`);
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) return fail('must begin with https://');
  if (url.username !== '' || url.password !== '') return fail('must not bear a user name or a password');
  if (url.hash !== '') return fail('must not have a fragment');
  const literal = literalAddress(url);
  if (literal !== null && !allowPrivate && !isPublicAddress(literal)) {
    return fail('must not lead to a private address: the operator can allow that with WEBHOOK_ALLOW_PRIVATE');
  }
  return url;
}

/** The address that a URL names instead of a host. The URL parser has brought 0x7f.1 and the like to one spelling. */
export function literalAddress(url: URL): string | null {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? null : host;
}

/**
 * Resolves names for a connection and hands out public addresses alone: what was checked is what is connected to, so a
 * name that resolves to another address a moment later gains nothing. Fails with AntequemError `address-private`.
 */
export function publicLookup(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, (error, addresses) => {
      if (error !== null) return callback(error, '');
      const open = addresses.filter(({ address }) => isPublicAddress(address));
      const [first] = open;
      if (first === undefined) return callback(privateAddress(hostname), '');
      if (options.all === true) callback(null, open);
      else callback(null, first.address, first.family);
    });
  };
}

/** All addresses of a name. */
export type Resolve = (
  hostname: string,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** As the system resolves names, /etc/hosts included. */
export const systemResolve: Resolve = (hostname, done) => lookup(hostname, { all: true }, done);

export function privateAddress(host: string): AntequemError {
  return new AntequemError(
    'address-private',
    `${host} leads to a private address: the operator can allow that with WEBHOOK_ALLOW_PRIVATE`,
  );
}
