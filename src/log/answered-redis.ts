// Marks of what was answered as one hash of Redis: origin → mark. Answers do not wait for it.

import { Redis } from 'ioredis';
import { redisAddress } from '../store/redis-address.ts';
import type { AnsweredSink } from './answered.ts';
import { parseMark } from './guard-lines.ts';
import { type Mark, markText } from './published.ts';

const PATIENCE_MS = 2_000;
/** Of one command: Redis does nothing else meanwhile. */
const AT_ONCE = 1_000;

const KEEP_LARGER = `
for i = 1, #ARGV, 2 do
  local now = redis.call('HGET', KEYS[1], ARGV[i])
  if not now or tonumber(string.match(now, '^%d+')) < tonumber(string.match(ARGV[i + 1], '^%d+')) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end`;

export class AnsweredRedis implements AnsweredSink {
  readonly name: string;
  readonly awaited = false;
  readonly #client: Redis;
  readonly #key: string;

  /** @param service what the service calls its own there */
  constructor(url: string, service: string) {
    const { name, options } = redisAddress(url);
    this.name = name;
    this.#key = `${service}:answered`;
    this.#client = new Redis({
      ...options,
      commandTimeout: PATIENCE_MS,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 10), 2_000),
    });
    // Told by the commands that fail.
    this.#client.on('error', () => {});
  }

  async write(marks: ReadonlyMap<string, Mark>): Promise<void> {
    const all = [...marks];
    for (let i = 0; i < all.length; i += AT_ONCE) {
      const args = all.slice(i, i + AT_ONCE).flatMap(([origin, mark]) => [origin, markText(mark)]);
      await this.#client.eval(KEEP_LARGER, 1, this.#key, ...args);
    }
  }

  async read(origin: string): Promise<Mark | null> {
    await this.#connected();
    const text = await this.#client.hget(this.#key, origin);
    return text === null ? null : parseMark(text);
  }

  async all(): Promise<ReadonlyMap<string, Mark>> {
    await this.#connected();
    const marks = new Map<string, Mark>();
    let cursor = '0';
    do {
      const [next, fields] = await this.#client.hscan(this.#key, cursor, 'COUNT', AT_ONCE);
      for (let i = 0; i + 1 < fields.length; i += 2) marks.set(fields[i] ?? '', parseMark(fields[i + 1] ?? ''));
      cursor = next;
    } while (cursor !== '0');
    return marks;
  }

  async replace(marks: ReadonlyMap<string, Mark>): Promise<void> {
    for (const [origin, mark] of marks) await this.#client.hset(this.#key, origin, markText(mark));
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  /** At a start the connection is still being made. */
  async #connected(): Promise<void> {
    if (this.#client.status === 'ready') return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#client.once('ready', resolve);
    const late = setTimeout(resolve, PATIENCE_MS);
    await promise;
    clearTimeout(late);
    this.#client.off('ready', resolve);
  }
}
