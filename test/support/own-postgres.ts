import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningPostgres, startPostgres } from '../../scripts/local/postgres.ts';
import { migrate } from '../../src/store/migrate.ts';
import { DatabaseProxy } from './database-proxy.ts';

/** A PostgreSQL of its own that can be ended and started again on the same data, behind an address that stays. */
export class OwnPostgres {
  /** Where its service finds it, up or down. */
  url = '';
  readonly #folder: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #proxy = new DatabaseProxy();
  #server: RunningPostgres | null = null;

  private constructor(folder: string, settings: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#settings = settings;
  }

  /** @param folder for its data, removed at the end; it must be empty, and others may pass it */
  static async open(folder = emptyFolder(), settings: Readonly<Record<string, string>> = {}): Promise<OwnPostgres> {
    const postgres = new OwnPostgres(folder, settings);
    await postgres.#proxy.listen();
    await postgres.start();
    await migrate(postgres.direct);
    return postgres;
  }

  /** Past the address that stays: of the server as it runs now. */
  get direct(): string {
    return this.#server?.url ?? '';
  }

  get running(): boolean {
    return this.#server !== null;
  }

  async start(): Promise<void> {
    const server = await startPostgres({
      dataDir: join(this.#folder, 'data'),
      // Apart from that of others, whose account may be another.
      systemFolder: join(this.#folder, 'system'),
      settings: { shared_buffers: '64MB', ...this.#settings },
    });
    this.#server = server;
    void server.ended.then(() => {
      if (this.#server === server) this.#server = null;
    });
    this.url = this.#proxy.via(server.url);
  }

  /** `fast` rolls back what is under way, `immediate` is a crash. */
  async stop(how: 'fast' | 'immediate'): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    if (how === 'immediate') process.kill(server.pid, 'SIGQUIT');
    await server.stop();
  }

  async close(): Promise<void> {
    await this.stop('fast');
    await this.#proxy.cut();
    rmSync(join(this.#folder, 'data'), { recursive: true, force: true });
    rmSync(join(this.#folder, 'system'), { recursive: true, force: true });
  }
}

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'antequem-own-'));
  chmodSync(folder, 0o755);
  return folder;
}
