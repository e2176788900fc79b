import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { How } from './journey.ts';

/** Stands between a client and the service, and has its way with the next answer to an append. */
export class AnswerProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #how: How | null = null;
  #struck: () => void = () => {};

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async open(target: string): Promise<AnswerProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const proxy = new AnswerProxy(server, address.port);
    server.on('connection', (client) => proxy.#join(client, connect(Number(new URL(target).port), '127.0.0.1')));
    return proxy;
  }

  strike(how: How): Promise<void> {
    this.#how = how;
    return new Promise((resolve) => (this.#struck = resolve));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, service: Socket): void {
    for (const socket of [client, service]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        // What was delivered is read before the end is noticed.
        client.end();
        service.destroy();
      });
    }
    client.on('data', (data) => service.write(data));
    service.on('data', (data) => {
      const how = data.indexOf('HTTP/1.1 201') < 0 ? null : this.#how;
      if (how === null) return void client.write(data);
      this.#how = null;
      if (how === 'failed') client.destroy();
      if (how === 'done, reported failed') client.write(data, () => service.resetAndDestroy());
      this.#struck();
    });
  }
}
