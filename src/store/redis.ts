import { Redis } from 'ioredis';
import { within } from '../core/time-limit.ts';
import { redisAddress } from './redis-address.ts';

export interface RedisConnection {
  /** For people, without secrets. */
  readonly name: string;
  readonly client: Redis;
}

export interface RedisPatience {
  /** Milliseconds until a command fails. Default 2,000. */
  readonly commandMs?: number;
  /** Whether a command waits that long for a connection, too; if not, it fails at once. Default: it waits. */
  readonly waits?: boolean;
}

/** Milliseconds to wait before connecting again after so many failures. */
export function reconnectDelayMs(failures: number, mostMs = 2_000): number {
  return Math.min(100 * 2 ** Math.min(failures, 10), mostMs);
}

/** Connects, now or later. That Redis is away shows in the commands, which fail. */
export function connectRedis(url: string, { commandMs = 2_000, waits = true }: RedisPatience = {}): RedisConnection {
  const { name, options } = redisAddress(url);
  const client = new Redis({
    ...options,
    commandTimeout: commandMs,
    enableOfflineQueue: waits,
    maxRetriesPerRequest: waits ? null : 0,
    retryStrategy: (failures) => reconnectDelayMs(failures),
  });
  client.on('error', () => {});
  return { name, client };
}

/** Waits for the connection, at most so long. */
export async function connected(client: Redis, mostMs: number): Promise<void> {
  if (client.status === 'ready') return;
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once('ready', resolve);
  await within(mostMs, promise, () => undefined);
  client.off('ready', resolve);
}

/** All fields of a hash. */
export async function scanHash(client: Redis, key: string): Promise<ReadonlyMap<string, string>> {
  const all = new Map<string, string>();
  let cursor = '0';
  do {
    const [next, fields] = await client.hscan(key, cursor, 'COUNT', 1_000);
    for (let i = 0; i + 1 < fields.length; i += 2) all.set(fields[i] ?? '', fields[i + 1] ?? '');
    cursor = next;
  } while (cursor !== '0');
  return all;
}
