import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';

function tryListen(port: number, host: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(null);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : null));
    });
  });
}

/** A TCP port of `host` that nobody listens on now: the preferred one if it is free, else one the system picks. */
export async function listenPort(preferred: number, host = '127.0.0.1'): Promise<number> {
  const port = (await tryListen(preferred, host)) ?? (await tryListen(0, host));
  if (port === null) throw new Error(`no free port on ${host}`);
  return port;
}

/** As `listenPort`, but above all the port that the file tells was used last; from now on it tells this one. */
export async function keptPort(file: string, preferred: number): Promise<number> {
  const kept = readPort(file);
  const port = (kept === null ? null : await tryListen(kept, '127.0.0.1')) ?? (await listenPort(preferred));
  writeFileSync(file, `${port}\n`, { mode: 0o600 });
  return port;
}

function readPort(file: string): number | null {
  try {
    const port = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(port) && port > 0 && port < 65_536 ? port : null;
  } catch {
    return null;
  }
}
