// A service of the shape of the API for the command line to talk to: stores lines and digests, remembers idempotency
// keys, and fails as it is told to.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How one append goes wrong: refused before or after it was stored, or cut off before or after. */
export type Fault = 'refuse' | 'store-refuse' | 'cut' | 'store-cut' | 'slow' | null;

interface Answer {
  readonly hash: string;
  readonly body: string;
}

export class TestService {
  readonly logs = new Map<string, string[]>();
  readonly requests: { method: string; url: string; authorization: string | undefined }[] = [];
  /** Keeps no payloads, only how many lines and bytes there were. */
  counting: { lines: number; bytes: number } | null = null;
  /** What becomes of the next append. */
  fault: () => Fault = () => null;
  /** Answers of `GET …/receipt`, by index. */
  receipt: (log: string, index: number) => unknown = () => ({});
  /** Answers of `GET …/receipt.tlog-proof`. */
  tlogProof: (log: string, index: number) => string = () => '';
  /** Answers of `GET …/receipt.cose`. */
  cose: (log: string, index: number) => Uint8Array = () => new Uint8Array(0);
  /** `stored` of `GET …/receipt.path`. */
  stored: () => { readonly round: number } | null = () => null;
  consistency: (from: number, to: number) => unknown = () => ({ path: [] });
  apiKey: string | null = null;
  readonly #answers = new Map<string, Answer>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) =>
        response.destroy(error instanceof Error ? error : undefined),
      );
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return this.url;
  }

  get url(): string {
    const address: AddressInfo | string | null = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not started');
    return `http://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    this.requests.push({ method, url, authorization: request.headers.authorization });
    const { pathname, searchParams } = new URL(url, this.url);
    const [, , , log = '', kind, index, what] = pathname.split('/');
    if (this.apiKey !== null && request.headers.authorization !== `Bearer ${this.apiKey}`) {
      return problem(response, 401, 'key-required', 'an API key is required');
    }
    if (method === 'PUT') {
      if (!this.logs.has(log)) this.logs.set(log, []);
      return json(response, 201, description(log));
    }
    const lines = this.logs.get(log);
    if (lines === undefined) {
      // As the service does: who asks for a log that is not there is answered before the body is read.
      return problem(response, 404, 'log-not-found', `there is no log ${log}`);
    }
    if (kind === undefined) return json(response, 200, description(log));
    if (method === 'POST') return this.#append(request, response, log, lines, kind === 'digests');
    if (kind === 'entries' && what === 'receipt.cose') {
      return void response.writeHead(200, { 'content-type': 'application/cose' }).end(this.cose(log, Number(index)));
    }
    if (kind === 'entries' && what === 'receipt.tlog-proof') {
      return void response.writeHead(200, { 'content-type': 'text/plain' }).end(this.tlogProof(log, Number(index)));
    }
    if (kind === 'entries' && what === 'receipt.path') return json(response, 200, { stored: this.stored() });
    if (kind === 'entries' && index !== undefined) return json(response, 200, this.receipt(log, Number(index)));
    if (kind === 'proofs') {
      return json(response, 200, this.consistency(Number(searchParams.get('from')), Number(searchParams.get('to'))));
    }
    problem(response, 404, 'not-found', 'no such page');
  }

  async #append(
    request: IncomingMessage,
    response: ServerResponse,
    log: string,
    lines: string[],
    digests: boolean,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const fault = this.fault();
    if (fault === 'slow') await new Promise((resolve) => setTimeout(resolve, 150));
    if (fault === 'refuse') return problem(response, 503, 'overloaded', 'too much to do');
    if (fault === 'cut') {
      response.destroy();
      return;
    }
    const key = String(request.headers['idempotency-key']);
    const hash = createHash('sha256').update(body).digest('hex');
    let answer = this.#answers.get(key);
    if (answer !== undefined && answer.hash !== hash) {
      return problem(response, 422, 'idempotency-key-reused', 'the key came with another request');
    }
    if (answer === undefined) {
      answer = { hash, body: JSON.stringify(this.#store(log, lines, body, digests)) };
      this.#answers.set(key, answer);
    }
    if (fault === 'store-refuse') return problem(response, 503, 'overloaded', 'too much to do');
    if (fault === 'store-cut') {
      response.destroy();
      return;
    }
    response.writeHead(201, { 'content-type': 'application/json' }).end(answer.body);
  }

  #store(log: string, lines: string[], body: Buffer, digests: boolean): object {
    let index = lines.length;
    let count: number;
    if (this.counting !== null) {
      index = this.counting.lines;
      count = 0;
      for (let at = body.indexOf(10); at !== -1; at = body.indexOf(10, at + 1)) count++;
      this.counting.lines += count;
      this.counting.bytes += body.length;
    } else {
      const entries: string[] = digests
        ? JSON.parse(body.toString()).digests
        : body
            .toString('latin1')
            .split('\n')
            .filter((line) => !/^[ \t\r]*$/.test(line));
      count = entries.length;
      lines.push(...entries);
    }
    const receivedAt = '2026-01-01T00:00:00.000Z';
    const receipt = `/v1/logs/${log}/entries/${index + count - 1}/receipt`;
    return { log: `test/logs/${log}`, index, count, digest: 'd', leafHash: 'l', receivedAt, receipt };
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function problem(response: ServerResponse, status: number, code: string, detail: string): void {
  response
    .writeHead(status, { 'content-type': 'application/problem+json' })
    .end(JSON.stringify({ type: `about:${code}`, title: code, status, code, detail }));
}

function description(log: string): object {
  return { name: log, origin: `test/logs/${log}`, logId: 'id', verifierKey: 'key' };
}
