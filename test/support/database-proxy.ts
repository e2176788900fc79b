import { connect, createServer, type Server, type Socket } from 'node:net';
import pg from 'pg';

/** A way to the test database that can be cut, stopped and opened again. */
export class DatabaseProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: { path: string } | { host: string; port: number } = { path: '' };
  #port = 0;
  /** What was sent while frozen; null: not frozen. */
  #held: (() => void)[] | null = null;

  constructor() {
    this.#server = createServer((client) => {
      const database = connect(this.#target);
      for (const socket of [client, database]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          database.destroy();
        });
      }
      const forward = (from: Socket, to: Socket): void => {
        from.on('data', (chunk) => {
          if (this.#held === null) to.write(chunk);
          else this.#held.push(() => to.write(chunk));
        });
      };
      forward(client, database);
      forward(database, client);
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    this.#port = address.port;
  }

  /** The URL of the same database by way of this proxy. */
  via(url: string): string {
    const { host, port, database, user, password } = new pg.Client({ connectionString: url });
    this.#target = host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port };
    const secret = typeof password === 'string' ? `:${encodeURIComponent(password)}` : '';
    return `postgres://${user}${secret}@127.0.0.1:${this.#port}/${database}`;
  }

  /** The database is gone: connections break, and no new one comes about. */
  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** The database says nothing any more, and does not hang up either. */
  freeze(): void {
    this.#held = [];
  }

  thaw(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const deliver of held) deliver();
  }
}
