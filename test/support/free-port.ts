import { createServer } from 'node:net';
import { listenNear } from '../../scripts/local/ports.ts';

/** A port of loopback on which nothing listens now, for those that must know it before they listen. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenNear(server, 0);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
