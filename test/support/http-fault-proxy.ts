import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';

/** What becomes of a request: forwarded and answered, forwarded and its answer cut off, or refused with a status. */
export type HttpFault = 'ok' | 'cut' | 503 | 429;

/** Between a sender and a service: goes through its plan over and over, a step a request. */
export class HttpFaultProxy implements AsyncDisposable {
  readonly url: string;
  readonly #server: ReturnType<typeof createServer>;
  /** Where requests are forwarded to. */
  target: string;
  requests = 0;

  private constructor(server: ReturnType<typeof createServer>, port: number, target: string) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
    this.target = target;
  }

  static async open(target: string, plan: readonly HttpFault[]): Promise<HttpFaultProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const proxy = new HttpFaultProxy(server, address.port, target);
    server.on('request', (request, response) => {
      const fault = plan[proxy.requests++ % plan.length] ?? 'ok';
      if (typeof fault !== 'number') return proxy.#forward(request, response, fault);
      request.resume();
      response.writeHead(fault, { 'retry-after': '1', 'content-type': 'application/json' }).end('{}');
    });
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #forward(request: IncomingMessage, response: ServerResponse, fault: 'ok' | 'cut'): void {
    const { method, headers, url = '' } = request;
    const onward = forward(`${this.target}${url}`, { method, headers }, (answer) => {
      if (fault === 'cut') {
        answer.resume();
        request.socket.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => request.socket.destroy());
    request.pipe(onward);
  }
}
