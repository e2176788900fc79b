// Restricts where webhooks may go. The URL is checked when a webhook is created, the address at each connection.

import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, isIP, isIPv4, isIPv6, type LookupFunction } from 'node:net';
import { AntequemError, FormatError } from '../core/errors.ts';

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
  if (url.username !== '' || url.password !== '') return fail('must not contain a user name or a password');
  if (url.hash !== '') return fail('must not have a fragment');
  const literal = literalAddress(url);
  if (literal !== null && !allowPrivate && !isPublicAddress(literal)) {
    return fail('must not lead to a private address, unless the operator sets WEBHOOK_ALLOW_PRIVATE');
  }
  return url;
}

/** The IP address in a URL, if it has no host name. The URL parser has already normalized spellings such as 0x7f.1. */
export function literalAddress(url: URL): string | null {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? null : host;
}

/**
 * Resolves names for a connection and returns only public addresses. The connection uses the address that was checked, so
 * a name that resolves differently a moment later (DNS rebinding) has no effect. Fails with AntequemError `address-private`.
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

/** Resolves names as the system does, with /etc/hosts. */
export const systemResolve: Resolve = (hostname, done) => lookup(hostname, { all: true }, done);

export function privateAddress(host: string): AntequemError {
  return new AntequemError('address-private', `${host} leads to a private address, which needs WEBHOOK_ALLOW_PRIVATE`);
}

// Special-purpose addresses (IANA registries, RFC 6890).
const SPECIAL_V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  // Multicast, reserved, broadcast.
  ['224.0.0.0', 3],
] as const;

// Exceptions within global unicast (2000::/3). 6to4 and Teredo can carry any IPv4 address.
const SPECIAL_V6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const;

const special = new BlockList();
for (const [net, prefix] of SPECIAL_V4) special.addSubnet(net, prefix, 'ipv4');
for (const [net, prefix] of SPECIAL_V6) special.addSubnet(net, prefix, 'ipv6');
const global = new BlockList();
global.addSubnet('2000::', 3, 'ipv6');

/** Whether an IP address, in any spelling, is public: not loopback, private, link-local or otherwise special. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, 'ipv4');
  // Only link-local addresses have a zone. IPv4 in IPv6 (::ffff:…, 64:ff9b::…) is not global unicast.
  return isIPv6(address) && !address.includes('%') && global.check(address, 'ipv6') && !special.check(address, 'ipv6');
}
