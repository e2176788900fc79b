// The count of all processes as hashes of Redis: of each caller the window and what was taken of it, by Redis's own clock.

import { Redis } from 'ioredis';
import { z } from 'zod';
import { within } from '../core/time-limit.ts';
import { redisAddress } from '../store/redis-address.ts';
import type { Grant, QuotaPolicy, SharedQuota } from './quota.ts';

/** Milliseconds: longer than that no request waits. */
const PATIENCE = 100;
const CONNECT = 1_000;

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
    const client = new Redis({
      ...redisAddress(url).options,
      commandTimeout: PATIENCE,
      // What is asked while it is away fails at once.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 10), 2_000),
    });
    client.on('error', () => {});
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    client.once('ready', resolve);
    await within(CONNECT, ready, () => undefined);
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
