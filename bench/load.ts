import { connect, type Socket } from 'node:net';

const NOTHING = Buffer.alloc(0);
/** A larger body is sent from where it is: to copy it costs a load of batches as much as to send it. */
const COPIED_BYTES = 16 << 10;

/** What came of a load: latencies in milliseconds. */
export interface LoadResult {
  readonly requests: number;
  readonly failures: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

export interface Load {
  readonly url: string;
  readonly connections: number;
  /** How many requests in all. */
  readonly requests: number;
  readonly method: string;
  /** Of request number i, where they differ. */
  readonly path: string | ((i: number) => string);
  readonly headers?: Readonly<Record<string, string>>;
  /** The body of request number i. */
  readonly body?: (i: number) => Uint8Array;
  readonly expect: number;
  readonly onAnswer?: (done: number) => void;
}

/** Appends entries to a log as lines, a thousand a request. @returns the seconds that it took */
export async function fillLog(
  url: string,
  log: string,
  entries: number,
  payload: (i: number) => string,
  connections: number,
): Promise<number> {
  const batch = 1_000;
  const { seconds, failures } = await runLoad({
    url,
    connections,
    requests: entries / batch,
    method: 'POST',
    path: `${log}/entries`,
    headers: { 'content-type': 'application/x-ndjson' },
    body: (n) => Buffer.from(Array.from({ length: batch }, (_, i) => payload(n * batch + i)).join('\n')),
    expect: 201,
  });
  if (failures > 0) throw new Error(`${failures} appends failed`);
  return seconds;
}

/**
 * Sends requests over keep-alive connections, one at a time on each, as fast as answers come. Raw sockets: on a machine
 * of two cores the one that asks must not cost more than the one that answers.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const { hostname, port } = new URL(load.url);
  const latencies = new Float64Array(load.requests);
  const pathOf = typeof load.path === 'string' ? () => load.path : load.path;
  let next = 0;
  let done = 0;
  let failures = 0;
  const start = performance.now();

  const fixed = Object.entries({ host: `${hostname}:${port}`, ...load.headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const write = (socket: Socket, index: number): void => {
    const body = load.body?.(index) ?? NOTHING;
    const head = `${load.method} ${pathOf(index)} HTTP/1.1\r\n${fixed}content-length: ${body.length}\r\n\r\n`;
    if (body.length > COPIED_BYTES) {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
      return;
    }
    const request = Buffer.allocUnsafe(head.length + body.length);
    request.write(head, 'latin1');
    request.set(body, head.length);
    socket.write(request);
  };

  const connection = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let sent = 0;
      let index = 0;
      let buffered: Buffer = NOTHING;
      const take = (chunk: Buffer): void => {
        buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
        const end = buffered.indexOf('\r\n\r\n');
        if (end >= 0) {
          const head = buffered.toString('latin1', 0, end);
          const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
          if (buffered.length >= end + 4 + length) {
            if (Number(head.slice(9, 12)) !== load.expect) {
              failures++;
              if (failures === 1) console.error(buffered.toString());
            }
            buffered = NOTHING;
            latencies[index] = performance.now() - sent;
            done++;
            load.onAnswer?.(done);
            send();
            return;
          }
        }
        // The next chunk comes in the same memory.
        if (buffered === chunk) buffered = Buffer.from(chunk);
      };
      const onread = {
        buffer: Buffer.alloc(64 << 10),
        callback: (length: number, memory: Uint8Array): boolean => {
          take(Buffer.from(memory.buffer, memory.byteOffset, length));
          return true;
        },
      };
      const socket = connect({ port: Number(port), host: hostname, noDelay: true, onread });
      const send = (): void => {
        if (next >= load.requests) {
          socket.end();
          resolve();
          return;
        }
        index = next++;
        sent = performance.now();
        write(socket, index);
      };
      socket.on('connect', send);
      socket.on('error', reject);
    });

  await Promise.all(Array.from({ length: load.connections }, connection));
  const seconds = (performance.now() - start) / 1_000;
  latencies.sort();
  const quantile = (q: number): number => latencies[Math.min(load.requests - 1, Math.floor(q * load.requests))] ?? 0;
  return { requests: load.requests, failures, seconds, p50: quantile(0.5), p99: quantile(0.99) };
}
