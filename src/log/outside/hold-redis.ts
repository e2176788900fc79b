// Holds in a hash of Redis: id → hold. As durable as that Redis.

import type { Redis } from 'ioredis';
import { AntequemError, messageOf } from '../../core/errors.ts';
import { connectRedis, scanHash } from '../../store/redis.ts';
import { type Hold, type HoldStore, holdText, parseHold } from './hold.ts';

export class HoldRedis implements HoldStore {
  readonly name: string;
  readonly #client: Redis;
  readonly #key: string;

  /** @param service what the service calls its own there */
  constructor(url: string, service: string) {
    const { name, client } = connectRedis(url);
    this.name = name;
    this.#client = client;
    this.#key = `${service}:holds`;
  }

  async all(): Promise<Hold[]> {
    const texts = await this.#ask(scanHash(this.#client, this.#key));
    return [...texts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, text]) => parseHold(text, `${this.name}: ${id}`));
  }

  async put(hold: Hold): Promise<void> {
    await this.#ask(this.#client.hset(this.#key, hold.id, holdText(hold)));
  }

  async remove(id: string): Promise<void> {
    await this.#ask(this.#client.hdel(this.#key, id));
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  async #ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (cause) {
      const says = `holds cannot be kept in ${this.name} (${messageOf(cause)}), so nothing is erased until they can`;
      throw new AntequemError('guard-unavailable', says, { cause });
    }
  }
}
