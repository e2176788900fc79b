// Whether a Redis does what the queue needs of it: reading may work long after writing has stopped.

import { Redis } from 'ioredis';
import { AntequemError } from '../core/errors.ts';
import { redisAddress } from '../store/redis-address.ts';

export interface RedisFindings {
  /** Why wake-ups cannot be kept there now; null: they can. */
  readonly problem: string | null;
  /** What an operator should change although it works. */
  readonly notices: readonly string[];
}

const PATIENCE_MS = 2_000;
const PROBE_MS = 60_000;
const OLDEST = 7;

export class RedisState {
  readonly name: string;
  readonly #client: Redis;
  readonly #key: string;

  /** @param service what the service calls its own there */
  constructor(url: string, service: string) {
    const { name, options } = redisAddress(url);
    this.name = name;
    this.#key = `${service}:probe`;
    this.#client = new Redis({
      ...options,
      commandTimeout: PATIENCE_MS,
      maxRetriesPerRequest: null,
      retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 10), 2_000),
    });
    // Told by the commands that fail.
    this.#client.on('error', () => {});
  }

  /**
   * Never throws for a Redis that is away.
   * @throws AntequemError `redis-unsupported` for a Redis Cluster or a Redis that is too old
   */
  async check(): Promise<RedisFindings> {
    let fields: ReadonlyMap<string, string>;
    try {
      fields = fieldsOf(await this.#client.info());
    } catch {
      return { problem: 'does not answer', notices: [] };
    }
    this.#demandSupported(fields);
    const policy = fields.get('maxmemory_policy') ?? 'noeviction';
    const notices =
      policy === 'noeviction'
        ? []
        : [`${this.name} has the maxmemory-policy ${policy} and may drop what the queue keeps: set noeviction`];
    if (fields.get('role') === 'slave') return { problem: 'is a replica and takes no writes', notices };
    try {
      await this.#client.set(this.#key, '', 'PX', PROBE_MS);
      return { problem: null, notices };
    } catch (error) {
      const why = error instanceof Error ? error.message.slice(0, 200) : String(error);
      return { problem: `refuses writes (${why})`, notices };
    }
  }

  close(): void {
    this.#client.disconnect();
  }

  #demandSupported(fields: ReadonlyMap<string, string>): void {
    if (fields.get('cluster_enabled') === '1') {
      throw new AntequemError(
        'redis-unsupported',
        `${this.name} is a Redis Cluster, which spreads what belongs together: use one primary, with Sentinel if you like`,
      );
    }
    const version = fields.get('valkey_version') ?? fields.get('redis_version') ?? '';
    if (Number.parseInt(version, 10) < OLDEST) {
      throw new AntequemError('redis-unsupported', `${this.name} is version ${version}; this release needs 7 or newer`);
    }
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
