import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { listenNear } from '../../scripts/local/ports.ts';

/** Below those that the system gives to outgoing connections: one of these may be taken a moment later. */
const PORTS = { from: 12_000, to: 32_000 };

/** A port of loopback on which nothing listens now, for those that must know it before they listen. */
export async function freePort(): Promise<number> {
  for (;;) {
    const wanted = randomInt(PORTS.from, PORTS.to);
    const server = createServer();
    const port = await listenNear(server, wanted);
    await new Promise((resolve) => server.close(resolve));
    if (port === wanted) return port;
  }
}
