import { createServer, type RequestListener, type ServerOptions } from 'node:http';
import type { Server } from 'node:net';
import { AntequemError } from '../core/errors.ts';

/** Milliseconds. What is slower than this holds connections, not data: 8 MiB in two minutes are 70 kB/s. */
const TIMEOUTS = {
  headersTimeout: 10_000,
  requestTimeout: 120_000,
  // Longer than the 60 s of common load balancers, which would else send into a connection about to close.
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
} as const satisfies ServerOptions;

const DRAIN_MS = 5_000;

/** A server that answers. */
export interface Listening {
  readonly url: string;
  /** Takes no new connection, lets requests under way end for some seconds, closes what idles. */
  close(): Promise<void>;
}

/** Listens on a host and port, or on a socket that is bound already; port 0 is any free one. Rejects where that fails. */
export async function listen(
  app: RequestListener,
  where: { readonly host: string; readonly port: number; readonly socket?: Server | undefined },
  options: ServerOptions = {},
): Promise<Listening> {
  const server = createServer({ ...TIMEOUTS, ...options }, app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => resolve());
    if (where.socket === undefined) server.listen(where.port, where.host);
    else server.listen(where.socket);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new AntequemError('internal', 'the server has no port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // A client that always has another request would keep its connection open for ever.
    server.prependListener('request', (_request, response) => response.setHeader('Connection', 'close'));
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    await closed;
    clearInterval(idle);
    clearTimeout(cut);
  };
  return { url: `http://${host}:${address.port}`, close };
}
