// The store as a hash of Redis: subject → mark. It is as durable as that Redis: with `appendonly yes` up to a second can be
// lost. After a flush it begins with what the database has then.

import type { Redis } from 'ioredis';
import { fromHex } from '../../core/bytes.ts';
import { AntequemError, messageOf } from '../../core/errors.ts';
import { connectRedis, scanHash } from '../../store/redis.ts';
import { type Change, type Mark, markText, type PublishedStore } from './published.ts';

const KEY = 'antequem:published';
/** Marks of one command, which blocks Redis. */
const AT_ONCE = 1_000;
const MOST_KNOWN = 100_000;

const COMPARE_AND_SET = `
local set = {}
for i = 1, #ARGV, 3 do
  local now = redis.call('HGET', KEYS[1], ARGV[i]) or '-'
  if now == ARGV[i + 1] then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
  set[#set + 1] = now == ARGV[i + 1] and 1 or 0
end
return set`;

export class PublishedRedis implements PublishedStore {
  readonly name: string;
  readonly #client: Redis;
  /** Marks that were seen there. */
  readonly #known = new Map<string, string>();
  #problem: string | null = null;

  constructor(url: string) {
    const { name, client } = connectRedis(url);
    this.name = name;
    this.#client = client;
  }

  async read(subjects: readonly string[]): Promise<(Mark | null)[]> {
    const marks: (Mark | null)[] = [];
    for (let i = 0; i < subjects.length; i += AT_ONCE) {
      const part = subjects.slice(i, i + AT_ONCE);
      const texts = await this.#ask(this.#client.hmget(KEY, ...part));
      for (const [n, text] of texts.entries()) {
        if (text !== null) this.#remember(part[n] ?? '', text);
        else if (this.#known.has(part[n] ?? '')) return this.#restore(subjects);
      }
      marks.push(...texts.map((text) => (text === null ? null : markIn(text))));
    }
    return marks;
  }

  async all(): Promise<ReadonlyMap<string, Mark>> {
    const texts = await this.#ask(scanHash(this.#client, KEY));
    return new Map([...texts].map(([subject, text]) => [subject, markIn(text)]));
  }

  async compareAndSet(changes: readonly Change[]): Promise<boolean[]> {
    const set: boolean[] = [];
    for (let i = 0; i < changes.length; i += AT_ONCE) {
      const part = changes.slice(i, i + AT_ONCE);
      const args = part.flatMap(({ subject, from, to }) => [subject, markText(from), markText(to)]);
      const answer: unknown = await this.#ask(this.#client.eval(COMPARE_AND_SET, 1, KEY, ...args));
      for (const [n, { subject, to }] of part.entries()) {
        const done = Array.isArray(answer) && answer[n] === 1;
        if (done) this.#remember(subject, markText(to));
        set.push(done);
      }
    }
    return set;
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  get problem(): string | null {
    return this.#problem;
  }

  /** Redis has lost marks that this process saw there: this is reported, and they are written again. */
  async #restore(subjects: readonly string[]): Promise<(Mark | null)[]> {
    this.#problem = `${this.name} has lost what was recorded of what was published; what this process remembers was put back`;
    const known = [...this.#known];
    this.#known.clear();
    for (let i = 0; i < known.length; i += AT_ONCE) {
      const changes = known.slice(i, i + AT_ONCE).map(([subject, text]) => ({ subject, from: null, to: markIn(text) }));
      await this.compareAndSet(changes);
    }
    return this.read(subjects);
  }

  #remember(subject: string, text: string): void {
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    this.#known.set(subject, text);
  }

  async #ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (cause) {
      throw unavailable(this.name, messageOf(cause), cause);
    }
  }
}

function markIn(text: string): Mark {
  const [, size, root] = /^(\d{1,16}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (size === undefined || root === undefined) {
    throw unavailable('Redis', `the hash ${KEY} holds what is not ours: ${JSON.stringify(text)}`);
  }
  return { size: Number(size), root: fromHex(root) };
}

function unavailable(name: string, why: string, cause?: unknown): AntequemError {
  return new AntequemError(
    'guard-unavailable',
    `what was published cannot be recorded in ${name} (${why}), so nothing is signed until it can`,
    { cause },
  );
}
