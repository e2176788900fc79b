// The count of all processes as hashes of Redis: of each caller the window and what was taken of it, by Redis's own clock.

import type { Redis } from 'ioredis';
import { z } from 'zod';
import { connected, connectRedis } from '../store/redis.ts';
import type { Grant, QuotaPolicy, SharedQuota } from './quota.ts';

/** Requests wait no longer. */
const COMMAND_MS = 100;
const CONNECT_MS = 1_000;

const TAKE = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local limit, window, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local start = now - now % window
local had = redis.call('HMGET', KEYS[1], 'start', 'used')
local used = tonumber(had[1] or -1) == start and tonumber(had[2]) or 0
local granted = math.max(0, math.min(wanted, limit - used))
redis.call('HSET', KEYS[1], 'start', string.format('%.0f', start), 'used', used + granted)
redis.call('PEXPIRE', KEYS[1], window)
return { granted, math.max(0, limit - used - granted), start + window - now }`;

const answer = z.tuple([z.int(), z.int(), z.int()]);

export class QuotaRedis implements SharedQuota {
  readonly #client: Redis;
  readonly #policy: QuotaPolicy;
  readonly #service: string;

  private constructor(client: Redis, service: string, policy: QuotaPolicy) {
    this.#client = client;
    this.#policy = policy;
    this.#service = service;
  }

  /**
   * Connects, now or later.
   * @param service what the service calls its own there
   */
  static async open(url: string, service: string, policy: QuotaPolicy): Promise<QuotaRedis> {
    const { client } = connectRedis(url, { commandMs: COMMAND_MS, waits: false });
    await connected(client, CONNECT_MS);
    return new QuotaRedis(client, service, policy);
  }

  async take(owner: string, wanted: number): Promise<Grant> {
    const { requests, seconds } = this.#policy;
    const said: unknown = await this.#client.eval(
      TAKE,
      1,
      `${this.#service}:quota:${owner}`,
      requests,
      seconds * 1_000,
      wanted,
    );
    const [granted, left, resets] = answer.parse(said);
    return { granted, left, resets };
  }

  close(): void {
    this.#client.disconnect();
  }
}
