import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import pg from 'pg';

/**
 * What becomes of the next request that is meant, by default a commit: `lost` never reaches the server, `unanswered` is
 * done there and its answer is lost, `held` waits for `release`, `silent` is done there and nothing comes back any more,
 * `none` is done and answered.
 */
export type Fault = 'lost' | 'unanswered' | 'held' | 'silent' | 'none';

/** Which requests are meant: a part of what is sent, and of what the server says when it is done. */
export interface Marks {
  readonly request: string;
  readonly answer: string;
}

/** A transaction ends, or a statement is one by itself. */
const COMMITS: readonly Marks[] = [
  { request: 'COMMIT\0', answer: 'COMMIT\0' },
  { request: 'continue-log\0', answer: 'SELECT 1\0' },
  { request: 'complete-tiles\0', answer: 'SELECT 1\0' },
];

const READY = Buffer.from('Z\0\0\0\x05I');
/** An ErrorResponse as of pg_terminate_backend. */
const ENDED = ((fields: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(fields.length + 4);
  return Buffer.concat([Buffer.from('E'), length, fields]);
})(Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'));

/** A way to PostgreSQL on which connections break at the worst moment. */
export class FaultProxy {
  readonly url: string;
  /** Each is used up by one commit. */
  readonly faults: Fault[] = [];
  marks: readonly Marks[] = COMMITS;
  /** How many commits came through or to grief. */
  commits = 0;
  /** So many new connections are ended by the server the moment they are ready, in the same breath. */
  endings = 0;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  #onHeld: () => void = () => {};
  #onStruck: () => void = () => {};

  private constructor(server: ReturnType<typeof createServer>, url: string) {
    this.#server = server;
    this.url = url;
  }

  static async open(target: string): Promise<FaultProxy> {
    const { host, port, user, password, database } = new pg.Client({ connectionString: target });
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const secret = typeof password === 'string' && password !== '' ? `:${encodeURIComponent(password)}` : '';
    const proxy = new FaultProxy(server, `postgres://${user}${secret}@127.0.0.1:${address.port}/${database}`);
    server.on('connection', (client) =>
      proxy.#join(client, host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)),
    );
    return proxy;
  }

  /** Resolves once a commit is held. */
  holding(): Promise<void> {
    return this.#held.length > 0 ? Promise.resolve() : new Promise((resolve) => (this.#onHeld = resolve));
  }

  /** The next request meant meets this fault; resolves the moment it does. */
  strike(fault: Fault): Promise<void> {
    this.faults.push(fault);
    return new Promise((resolve) => (this.#onStruck = resolve));
  }

  release(): void {
    for (const send of this.#held.splice(0)) send();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    let broken = false;
    let fault: Fault | undefined;
    let answer = '';
    const cut = (): void => {
      broken = true;
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        cut();
      });
    }
    client.on('data', (data) => {
      const meant = this.marks.find(({ request }) => data.indexOf(request) >= 0);
      if (meant === undefined) return void server.write(data);
      answer = meant.answer;
      this.commits++;
      fault = this.faults.shift();
      if (fault === 'lost') {
        cut();
        return this.#onStruck();
      }
      if (fault === 'held') {
        this.#held.push(() => server.write(data));
        this.#onHeld();
        return this.#onStruck();
      }
      server.write(data);
    });
    server.on('data', (data) => {
      if (this.endings > 0 && data.subarray(-READY.length).equals(READY)) {
        this.endings--;
        client.end(Buffer.concat([data, ENDED]));
        return;
      }
      // The answer to a commit names it; those to statements sent before it may come alone.
      if ((fault === 'unanswered' || fault === 'silent') && data.indexOf(answer) >= 0) {
        if (fault === 'unanswered') cut();
        broken = true;
        this.#onStruck();
      }
      if (!broken) client.write(data);
    });
  }
}
