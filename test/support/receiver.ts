// A receiver of webhooks on loopback that answers as a test says.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly id: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  /** All requests, in the order in which they came. */
  readonly received: Received[];
  /** How to answer; default 204. */
  answer: (message: Received, response: ServerResponse) => void;
}

export async function openReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void read(request).then((body) => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
      const { type, data } = fieldsOf(body);
      const message = { id: headers['webhook-id'] ?? '', headers, body, type, data };
      received.push(message);
      receiver.answer(message, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  const receiver: Receiver = {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/hook`,
    received,
    answer: (_, response) => void response.writeHead(204).end(),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return receiver;
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function fieldsOf(body: string): { type: string; data: Record<string, unknown> } {
  const parsed: unknown = JSON.parse(body);
  const found = typeof parsed === 'object' && parsed !== null ? Object.fromEntries(Object.entries(parsed)) : {};
  const data: unknown = found.data;
  return { type: String(found.type), data: typeof data === 'object' && data !== null ? { ...data } : {} };
}
