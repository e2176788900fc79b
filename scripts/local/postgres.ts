import { rmSync } from 'node:fs';
import { z } from 'zod';
import { startChild } from './child.ts';
import { removeSocketFolder, stopPostmaster } from './postmaster.ts';

export interface PostgresOptions {
  /** Absolute; this process must be the only one to use it (`holdData`). */
  readonly dataDir: string;
  /** Server settings over the defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Remove data folder and database at the end. */
  readonly disposable?: boolean;
  /** Where the database of root lies. */
  readonly systemFolder?: string;
  /** Gives up waiting for the server; what was started is stopped. */
  readonly signal?: AbortSignal;
}

const Said = z.object({
  /** postgres:// over the Unix socket, for the superuser `antequem` and the database of the same name. */
  url: z.string(),
  socketDir: z.string(),
  /** Of the server. */
  pid: z.number(),
  data: z.string(),
  folder: z.string(),
  logFile: z.string(),
});

export interface RunningPostgres extends Omit<z.output<typeof Said>, 'data' | 'folder'> {
  /** Settles when the server has ended, asked to or not. */
  readonly ended: Promise<void>;
  /** Ends all connections and the server. Safe to call again, and after the server was killed. */
  stop(): Promise<void>;
}

/**
 * Starts the PostgreSQL that npm brought. It ends with this process however that ends.
 * @throws Error whose message says what stands in the way and what to do
 */
export async function startPostgres({ signal, disposable, ...options }: PostgresOptions): Promise<RunningPostgres> {
  const removeAtEnd = disposable === true ? [options.dataDir] : [];
  const remove = (): void => {
    for (const folder of removeAtEnd) rmSync(folder, { recursive: true, force: true });
  };
  const limits = { startLimitMs: 3_600_000, stopLimitMs: 8_000 };
  try {
    const args = ['postgres-process.ts', JSON.stringify(options)] as const;
    const { says, ended, stop } = await startChild('PostgreSQL', args, { ...limits, signal });
    const { data, folder, ...server } = Said.parse(says);
    if (disposable === true) removeAtEnd.push(folder);
    return {
      ...server,
      ended,
      stop: async () => {
        await stop();
        // Of no effect unless the process between was killed.
        await stopPostmaster(data);
        removeSocketFolder(server.socketDir);
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
