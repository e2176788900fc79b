import { once } from 'node:events';
import { createServer } from 'node:http';
import { z } from 'zod';

const question = z.object({ id: z.unknown(), method: z.string(), params: z.array(z.unknown()) });
const answer = z.looseObject({ result: z.unknown() });

export interface Asked {
  readonly method: string;
  readonly params: readonly unknown[];
}

/** An endpoint that passes questions on, and makes of the answers what it likes. */
export interface LyingEndpoint {
  readonly url: string;
  /** Undefined: the answer as it is. */
  lie: (asked: Asked, truth: unknown) => unknown;
  /** Whether the method is refused, by HTTP status 400 as some gateways do it. */
  refuses: (asked: Asked) => boolean;
  readonly asked: Asked[];
  close(): Promise<void>;
}

export async function lyingEndpoint(upstream: string): Promise<LyingEndpoint> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = (await request.toArray()).join('');
    const { id, method, params } = question.parse(JSON.parse(body));
    asked.push({ method, params });
    if (endpoint.refuses({ method, params })) {
      const error = { code: -32601, message: `method ${method} is not supported` };
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
      return;
    }
    const reply = await fetch(upstream, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    const text = await reply.text();
    const truth = answer.safeParse(JSON.parse(text));
    const lie = truth.success ? endpoint.lie({ method, params }, truth.data.result) : undefined;
    response.setHeader('content-type', 'application/json');
    response.end(lie === undefined ? text : JSON.stringify({ jsonrpc: '2.0', id, result: lie }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const endpoint: LyingEndpoint = {
    url: `http://127.0.0.1:${address.port}`,
    lie: () => undefined,
    refuses: () => false,
    asked,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return endpoint;
}
