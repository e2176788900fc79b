// Marks of what was answered in a hash of Redis: origin → mark. Answers do not wait for it.

import type { Redis } from 'ioredis';
import { connected, connectRedis, scanHash } from '../../store/redis.ts';
import type { AnsweredSink } from './answered.ts';
import { type Mark, markText, parseMark } from './published.ts';

/** Milliseconds for a connection to be made at a start. */
const CONNECT_MS = 2_000;
/** Marks of one command, which blocks Redis. */
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
    const { name, client } = connectRedis(url, { waits: false });
    this.name = name;
    this.#client = client;
    this.#key = `${service}:answered`;
  }

  async write(marks: ReadonlyMap<string, Mark>): Promise<void> {
    const all = [...marks];
    for (let i = 0; i < all.length; i += AT_ONCE) {
      const args = all.slice(i, i + AT_ONCE).flatMap(([origin, mark]) => [origin, markText(mark)]);
      await this.#client.eval(KEEP_LARGER, 1, this.#key, ...args);
    }
  }

  async read(origin: string): Promise<Mark | null> {
    await connected(this.#client, CONNECT_MS);
    const text = await this.#client.hget(this.#key, origin);
    return text === null ? null : parseMark(text);
  }

  async all(): Promise<ReadonlyMap<string, Mark>> {
    await connected(this.#client, CONNECT_MS);
    const texts = await scanHash(this.#client, this.#key);
    return new Map([...texts].map(([origin, text]) => [origin, parseMark(text)]));
  }

  async replace(marks: ReadonlyMap<string, Mark>): Promise<void> {
    for (const [origin, mark] of marks) await this.#client.hset(this.#key, origin, markText(mark));
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }
}
