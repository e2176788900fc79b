import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { openClient } from './address.ts';

/** Tells within the process that a round closed or an anchor moved on, whichever process did it. */
export class Notifications {
  readonly #url: string;
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  #client: pg.Client | null = null;
  #closed = false;

  private constructor(url: string) {
    this.#url = url;
  }

  /** Starts to listen; a connection that breaks is made anew for as long as it takes. */
  static listen(url: string): Notifications {
    const notifications = new Notifications(url);
    void notifications.#run();
    return notifications;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next news, or after `ms`, or when `signal` fires. */
  next(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
      if (signal.aborted || this.#closed) done();
    });
  }

  /** Calls back at all news, before those who wait continue. */
  onNews(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#client?.end().catch(() => {});
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
    for (const done of [...this.#waiting]) done();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        const client = await openClient(this.#url, { application_name: 'antequem notifications' });
        this.#client = client;
        const ended = new Promise<void>((resolve) => {
          client.on('end', () => resolve());
          client.on('error', () => resolve());
        });
        client.on('notification', () => this.#wake());
        if (this.#closed) await client.end();
        const { rows } = await client.query<{ channel: string }>('SELECT quote_ident(service_name()) AS channel');
        await client.query(`LISTEN ${rows[0]?.channel}`);
        // Something may have happened while there was no connection.
        this.#wake();
        await ended;
      } catch {
        // Those who wait have a timer of their own: news come late and are not lost.
      }
      await this.#client?.end().catch(() => {});
      if (!this.#closed) await sleep(1_000);
    }
  }
}
