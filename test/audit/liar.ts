import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';

export interface Shown {
  readonly status: number;
  readonly bytes: Buffer;
}

/** What a liar makes of an answer; the path is without its leading slash. */
export type Lie = (path: string, shown: Shown) => Shown;

export interface Liar extends AsyncDisposable {
  readonly url: string;
  /** Requests by path. */
  readonly asked: string[];
  lie: Lie;
}

/**
 * A proxy in front of a service, that shows what it likes.
 * @param behind the service for whoever asks with this token
 */
export async function openLiar(behind: (token: string) => string, lie: Lie = (_, shown) => shown): Promise<Liar> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const path = (request.url ?? '').slice(1);
    asked.push(path);
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    const answer = await fetch(`${behind(token)}/${path}`, { headers: { 'accept-encoding': 'identity' } });
    const { status, bytes } = liar.lie(path, {
      status: answer.status,
      bytes: Buffer.from(await answer.arrayBuffer()),
    });
    response.writeHead(status).end(bytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const liar: Liar = { url: urlOf(server), asked, lie, [Symbol.asyncDispose]: () => end(server) };
  return liar;
}

/** A server that answers everything in one way. */
export async function openServer(
  answer: (path: string, response: ServerResponse) => void,
): Promise<{ url: string; asked: string[] } & AsyncDisposable> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push((request.url ?? '').slice(1));
    response.on('error', () => {});
    answer((request.url ?? '').slice(1), response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: urlOf(server), asked, [Symbol.asyncDispose]: () => end(server) };
}

/** What a plain web server does with a folder. */
export function sendFile(folder: string, path: string, response: ServerResponse): void {
  try {
    response.end(readFileSync(join(folder, ...path.split('/'))));
  } catch {
    response.writeHead(404).end();
  }
}

/** Sends without end, as long as somebody takes it. */
export function pour(response: ServerResponse, what: string, sent: (bytes: number) => void = () => {}): void {
  const chunk = Buffer.alloc(16_384, what);
  const more = (): void => {
    while (!response.destroyed && response.write(chunk)) sent(chunk.length);
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

function urlOf(server: ReturnType<typeof createServer>): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

async function end(server: ReturnType<typeof createServer>): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

/** The JSON of one path, changed. */
export function changingJson(where: string, change: (json: Record<string, unknown>) => void): Lie {
  return (path, shown) => {
    if (path !== where || shown.status !== 200) return shown;
    const json: Record<string, unknown> = JSON.parse(shown.bytes.toString());
    change(json);
    return { status: 200, bytes: Buffer.from(JSON.stringify(json)) };
  };
}

/** The bytes of paths that match, changed in a copy. */
export function changingBytes(where: RegExp, change: (bytes: Buffer) => Buffer | undefined): Lie {
  return (path, shown) => {
    if (!where.test(path) || shown.status !== 200) return shown;
    const copy = Buffer.from(shown.bytes);
    return { status: 200, bytes: change(copy) ?? copy };
  };
}

export function hiding(where: RegExp): Lie {
  return (path, shown) => (where.test(path) ? { status: 404, bytes: Buffer.from('not here') } : shown);
}
