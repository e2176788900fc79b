// A server that tells of a chain, as a Bitcoin node and as Esplora do.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as z from 'zod/mini';
import { parseHeader, rpcOrder } from '../../src/core/bitcoin-header.ts';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';

/** The header of Bitcoin's first block. */
export const GENESIS = fromHex(
  `01000000${'00'.repeat(32)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c`,
);
/** And of its second. */
export const SECOND = fromHex(
  '010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299',
);

/** A header that goes on from another, of any merkle root. */
export function nextHeader(before: Uint8Array, merkleRoot: Uint8Array): Uint8Array {
  const previous = fromHex(parseHeader(before).hash).reverse();
  return concat(before.subarray(0, 4), previous, merkleRoot, before.subarray(68));
}

export interface ChainServer extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  /** What it was asked for, with the Authorization header: `POST / Basic …`. */
  readonly asked: string[];
}

const question = z.object({ method: z.string(), params: z.array(z.unknown()) });

/**
 * @param headers from the first block on; they may change while it runs
 * @param login what it wants to have of whoever asks for JSON-RPC
 * @param base height of the second header less one: it does not have the blocks between the first and that
 */
export function serveChain(
  headers: readonly Uint8Array[],
  login: string | null = null,
  base = 0,
): Promise<ChainServer> {
  const byHash = (hash: unknown): Uint8Array | undefined => headers.find((each) => parseHeader(each).hash === hash);
  const hashAt = (height: unknown): string | null => {
    const header = typeof height === 'number' ? headers[height === 0 ? 0 : height - base] : undefined;
    return header === undefined ? null : parseHeader(header).hash;
  };
  const call = (method: string, [first]: unknown[]): object => {
    const none = { result: null, error: { code: -8, message: 'Block height out of range' } };
    const newest = base + headers.length - 1;
    if (method === 'getblockcount') return { result: newest, error: null };
    const header = byHash(first);
    const result = method === 'getblockhash' ? hashAt(first) : header === undefined ? null : toHex(header);
    return result === null ? none : { result, error: null };
  };
  return serve(async (request, response) => {
    const { method, url } = request;
    if (method === 'POST') {
      if (login !== null && request.headers.authorization !== `Basic ${btoa(login)}`) {
        response.writeHead(401).end();
        return;
      }
      const { method: name, params } = question.parse(JSON.parse(await textOf(request)));
      response.end(JSON.stringify({ ...call(name, params), id: 'antequem' }));
      return;
    }
    const [, height, hash] = /^\/api(?:\/block-height\/(\d+)|\/block\/(\w+)\/header)$/.exec(url ?? '') ?? [];
    const header = byHash(hash);
    if (url === '/api/blocks/tip/height') response.end(String(base + headers.length - 1));
    else if (height !== undefined && hashAt(Number(height)) !== null) response.end(hashAt(Number(height)));
    else if (header !== undefined) response.end(toHex(header));
    else response.writeHead(404).end('Block not found');
  });
}

/** Any server at all. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<ChainServer> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push([request.method, request.url, request.headers.authorization].filter((each) => each).join(' '));
    void answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const host = `127.0.0.1:${address.port}`;
  return {
    url: `http://${host}`,
    host,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The hash of a header, in the order of bytes in which headers hold it. */
export function wrongWayRound(header: Uint8Array): string {
  return rpcOrder(fromHex(parseHeader(header).hash));
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}
