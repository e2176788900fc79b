// BullMQ on Redis.

import { Queue as BullQueue } from 'bullmq';
import { AntequemError, messageOf } from '../core/errors.ts';
import { connectRedis, type RedisConnection, reconnectDelayMs } from '../store/redis.ts';
import { redisAddress } from '../store/redis-address.ts';
import {
  type Broker,
  handle,
  type LaneProducer,
  type OnError,
  PatientWorker,
  producer,
  queueOptions,
  workerOptions,
} from './broker.ts';
import type { QueueHealth } from './wakeup.ts';

/** The prefix of all services in releases before. */
const FORMER_PREFIX = 'antequem';
const PROBE_MS = 60_000;
const OLDEST_VERSION = 7;

/**
 * Connects when it can.
 * @param name what the service calls its own
 * @throws AntequemError `redis-unsupported` where Redis answers and cannot be used
 */
export async function redisBroker(url: string, name: string, onError: OnError): Promise<Broker> {
  let retired = false;
  const retryStrategy = (failures: number): number | null => (retired ? null : reconnectDelayMs(failures, 5_000));
  const options = { ...redisAddress(url).options, maxRetriesPerRequest: null, retryStrategy };
  const probe = connectRedis(url);
  const check = (): Promise<QueueHealth> => healthOf(probe, `${name}:probe`);
  const produce = (lane: string, prefix: string): LaneProducer => {
    // Commands for a Redis that is away fail at once: kept, they would fill the memory.
    const connection = { ...options, enableOfflineQueue: false };
    const queue = new BullQueue(lane, { connection, prefix, ...queueOptions() });
    queue.on('error', onError);
    return producer({ use: async () => queue, close: () => queue.close() });
  };
  try {
    for (const notice of (await check()).notices) onError(new Error(notice));
  } catch (error) {
    probe.client.disconnect();
    throw error;
  }
  return {
    check,
    produce: (lane) => produce(lane, name),
    consume: (lane, handler, concurrency) => {
      const worker = new PatientWorker(lane, (job, token) => handle(job, token, handler, onError), {
        connection: options,
        prefix: name,
        ...workerOptions(concurrency),
      });
      worker.on('error', onError);
      return {
        pause: async (paused) => (paused ? worker.pause(true) : worker.resume()),
        close: () => worker.close(),
      };
    },
    former: async (lane) => produce(lane, FORMER_PREFIX),
    retire: () => {
      retired = true;
    },
    close: async () => probe.client.disconnect(),
  };
}

/**
 * Whether a Redis does what the queue needs: one that is full or demoted can still be read.
 * @param key what it is tried with
 * @throws AntequemError `redis-unsupported` for a Redis Cluster or a Redis that is too old
 */
async function healthOf({ name, client }: RedisConnection, key: string): Promise<QueueHealth> {
  let fields: ReadonlyMap<string, string>;
  try {
    fields = fieldsOf(await client.info());
  } catch {
    return { problem: 'does not answer', notices: [] };
  }
  demandSupported(name, fields);
  const policy = fields.get('maxmemory_policy') ?? 'noeviction';
  const notices =
    policy === 'noeviction'
      ? []
      : [`${name} has the maxmemory-policy ${policy} and may drop what the queue keeps: set noeviction`];
  if (fields.get('role') === 'slave') return { problem: 'is a replica and takes no writes', notices };
  try {
    await client.set(key, '', 'PX', PROBE_MS);
    return { problem: null, notices };
  } catch (error) {
    return { problem: `refuses writes (${messageOf(error).slice(0, 200)})`, notices };
  }
}

function demandSupported(name: string, fields: ReadonlyMap<string, string>): void {
  if (fields.get('cluster_enabled') === '1') {
    throw new AntequemError(
      'redis-unsupported',
      `${name} is a Redis Cluster, which spreads what belongs together: use one primary, with Sentinel if you like`,
    );
  }
  const version = fields.get('valkey_version') ?? fields.get('redis_version') ?? '';
  if (Number.parseInt(version, 10) < OLDEST_VERSION) {
    throw new AntequemError('redis-unsupported', `${name} is version ${version}; this release needs 7 or newer`);
  }
}

function fieldsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(':');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
    }),
  );
}
