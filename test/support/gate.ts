import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** `open`: passes; `shut`: nobody listens; `hanging`: takes connections and says nothing. */
export type GateState = 'open' | 'shut' | 'hanging';

/** A way to a server, at an address that stays, which a test opens and shuts. */
export interface Gate {
  readonly url: string;
  set(state: GateState): Promise<void>;
  close(): Promise<void>;
}

/** @param target http://host:port */
export async function openGate(target: string): Promise<Gate> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let state: GateState = 'open';
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    if (state !== 'open') return void client.resume();
    const upstream = connect(Number(port), hostname);
    keep(upstream);
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  const listen = async (at: number): Promise<number> => {
    server.listen(at, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  };
  const shut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  const own = await listen(0);
  return {
    url: `http://127.0.0.1:${own}`,
    set: async (next) => {
      state = next;
      await shut();
      if (next !== 'shut') await listen(own);
    },
    close: shut,
  };
}
