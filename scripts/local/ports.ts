import { once } from 'node:events';
import type { Server } from 'node:net';
import { hasCode } from '../../src/core/errors.ts';

/** This machine's own names, with or without a port. */
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * Has a server listen: on the preferred port, or on a free one where that one is in use. Nothing can take the port
 * between a look and its use, since nothing is looked at.
 * @returns the port
 */
export async function listenNear(server: Server, preferred: number, host = '127.0.0.1'): Promise<number> {
  for (const port of [preferred, 0]) {
    try {
      server.listen({ port, host, exclusive: true });
      await once(server, 'listening');
      break;
    } catch (error) {
      if (port === 0 || !isPortTaken(error)) throw error;
    }
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error(`no port on ${host}`);
  return address.port;
}

export function isPortTaken(error: unknown): boolean {
  return hasCode(error, 'EADDRINUSE') || hasCode(error, 'EACCES');
}

/**
 * Why a local server does not answer a request, or null. A web page of another site may send requests to loopback, and
 * a name of its own may resolve to it: the headers Origin and Host tell.
 */
export function refusalOf({ host, origin }: { host?: string | undefined; origin?: string | undefined }): string | null {
  if (!LOOPBACK.test((host ?? '').toLowerCase())) return 'only localhost, 127.0.0.1 and [::1] are answered';
  if (origin !== undefined && !LOOPBACK.test(URL.parse(origin)?.host ?? ''))
    return 'pages of other sites are not answered';
  return null;
}
