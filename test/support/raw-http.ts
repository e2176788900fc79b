import { connect } from 'node:net';

export interface RawAnswer {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly text: string;
}

/**
 * Sends bytes as they are, for requests no client would send, and reads until the server closes the connection.
 * @param then what to do once they are sent: `end` closes our half, `cut` breaks the connection, `wait` does nothing
 */
export function sendRaw(
  url: string,
  bytes: string | Uint8Array,
  then: 'end' | 'cut' | 'wait' = 'wait',
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text }));
    socket.write(bytes, () => {
      if (then === 'end') socket.end();
      // Given a moment, so that the bytes arrive before the end does.
      if (then === 'cut') setTimeout(() => socket.resetAndDestroy(), 50);
    });
  });
}

/** One request as text, its connection closed after the answer. */
export function requestText(method: string, target: string, headers: Record<string, string> = {}, body = ''): string {
  const all: Record<string, string> = { Host: 'localhost', Connection: 'close', ...headers };
  if (body !== '') all['Content-Length'] ??= String(Buffer.byteLength(body));
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}
