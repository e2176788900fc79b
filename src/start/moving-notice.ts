import type { Server } from 'node:net';
import { type Listening, listen } from '../api/server.ts';
import type { Config } from '../config.ts';
import { PROBLEM_STATUS } from '../core/problem-codes.ts';
import type { MovingProgress } from '../log/unmoved.ts';

/** Answers requests while the entries of an older release are moved into blocks: not ready, and how far it is. */
export class MovingNotice {
  readonly #host: string;
  /** Null: nothing is listened on. */
  readonly #port: number | null;
  #progress: MovingProgress | null = null;
  #listening: Promise<Listening | null> | null = null;

  /** @param socket what the service will listen on; it is not taken before */
  constructor(
    { host, port, healthPort, roles }: Pick<Config, 'host' | 'port' | 'healthPort' | 'roles'>,
    socket: Server | undefined,
  ) {
    this.#host = host;
    // A socket that is bound already is not taken.
    this.#port = socket !== undefined ? null : roles.includes('api') ? port : healthPort;
  }

  tell(progress: MovingProgress): void {
    this.#progress = progress;
    if (this.#port === null) return;
    this.#listening ??= listen(
      (request, response) => {
        const alive = request.url === '/healthz';
        const { moved, total } = this.#progress ?? progress;
        const detail = `entries of an older release are moved into blocks: ${moved} of ${total}`;
        const code = 'database-unavailable';
        const status = PROBLEM_STATUS[code];
        response.writeHead(alive ? 200 : status, {
          'content-type': alive ? 'application/json' : 'application/problem+json',
          'retry-after': '5',
        });
        response.end(
          JSON.stringify(
            alive ? { status: 'ok' } : { type: 'about:blank', status, title: detail, code, detail, moved, total },
          ),
        );
      },
      { host: this.#host, port: this.#port },
    ).catch(() => null);
  }

  /** Frees the port. */
  async close(): Promise<void> {
    await (await this.#listening)?.close();
  }
}
