import { z } from 'zod';
import { type ArchiveConfig, archiveFaults, archiveOf, archiveVariables } from './config/archive.ts';
import { type AuthoritiesFile, authorityVariables, readAuthorities } from './config/authorities.ts';
import { type BitcoinConfig, bitcoinOf, type OtsConfig, otsFaults, otsOf, otsVariables } from './config/calendars.ts';
import { type OperationConfig, operationOf, operationVariables } from './config/operation.ts';
import {
  type OwnAuthorityConfig,
  ownAuthorityFaults,
  ownAuthorityOf,
  ownAuthorityVariables,
} from './config/own-authority.ts';
import {
  type OwnCalendarConfig,
  ownCalendarFaults,
  ownCalendarOf,
  ownCalendarVariables,
} from './config/own-calendar.ts';
import { duration, list, wholeNumber } from './config/settings.ts';
import { type EvmConfig, evmFaults, evmVariables, readTargetsFile, targetOfVariables } from './config/targets.ts';
import { unknownSettings } from './config/unknown-settings.ts';
import { readWitnesses, witnessVariables } from './config/witnesses.ts';
import { AntequemError } from './core/errors.ts';
import { isServiceOrigin } from './core/origin.ts';
import { isRedisUrl } from './store/redis-address.ts';
import type { WitnessSettings } from './witness/witnesses.ts';

const port = wholeNumber(0, 65_535, 'not a port: 0 to 65535, 0 for any free one');
const count = wholeNumber(1, Number.MAX_SAFE_INTEGER, 'not a whole number from 1 on');
const origin = z
  .string()
  .refine(isServiceOrigin, 'not a service origin: a host name in lower case without a scheme, such as log.example.org');

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Every setting, by the name of its environment variable. */
export const environment = z.object({
  ROLES: z
    .string()
    .default('api,worker')
    .transform(list)
    .pipe(
      z.array(z.enum(['api', 'worker'], 'not a list of roles: api, worker')).min(1, 'not a list of roles: api, worker'),
    )
    .describe('What this process does. Any number of processes of each role may share one database.'),
  HOST: z
    .string()
    .default('127.0.0.1')
    .describe('The address to listen on. Beyond loopback the service starts only if there is an API key.'),
  PORT: port.default(3963).describe('The port to listen on.'),
  HEALTH_PORT: port
    .optional()
    .describe(
      'The port, at HOST, where a process with the role `worker` alone answers `/healthz`, `/readyz` and `/metrics`. Unset: it listens nowhere. A process with the role `api` answers these at PORT.',
    ),
  ORIGIN: origin.describe('The name of the service in everything it signs. It can never be changed.'),
  // Not a URL by the book: over a Unix socket it has no host.
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'not a URL with postgres://')
    .describe(
      'PostgreSQL 15 or newer, which holds everything. Several hosts, `postgres://user@one:5432,two:5432/name`, are tried until one takes writes.',
    ),
  DATABASE_CONNECTIONS: wholeNumber(4, 500, 'not a whole number from 4 to 500')
    .default(10)
    .describe(
      'How many connections to PostgreSQL this process takes at most for its own work; docs/operations.md names the others.',
    ),
  DATABASE_APPEND_CONNECTIONS: wholeNumber(1, 500, 'not a whole number from 1 to 500')
    .default(5)
    .describe(
      'How many more it takes at most to append: so many logs are appended to at the same time. Appends never wait for a connection that something else uses.',
    ),
  DATABASE_READ_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'not a URL with postgres://')
    .optional()
    .describe(
      'A streaming replica of DATABASE_URL, which tiles and entry bundles are read from, and checkpoints of at least a size. What it lacks or fails to answer is read from DATABASE_URL.',
    ),
  REDIS_URL: z
    .string()
    .refine(isRedisUrl, 'not redis://host:port, rediss://host:port or redis+sentinel://host:port,host:port/NAME')
    .optional()
    .describe(
      'Redis for the queue and for rate limits shared by all processes. Without it the queue is on PostgreSQL and each process counts for itself. Unless LOG_GUARD_FILE is set, Redis also records what was published. Behind Sentinel: redis+sentinel://user:password@host:26379,host:26379/NAME.',
    ),
  LOG_SEED_FILE: z
    .string()
    .min(1)
    .describe(
      'A file with 64 hex digits (`openssl rand -hex 32`), kept apart from the database. All keys of logs, sessions and webhooks are derived from it. While a seed is replaced, the file holds several, the newest last.',
    ),
  LOG_GUARD_FILE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A file that records what was published. Keep it on a local disk, beside the seed, and do not restore it together with the database.',
    ),
  ROUND_INTERVAL: duration.default(60_000).describe('How often a round is closed, if there is anything new.'),
  ROUND_ENTRIES: count.default(100_000).describe('A round is closed early after this many new entries.'),
  ROUND_HEARTBEAT: duration.optional().describe('Close a round after this time even if nothing is new. Unset: never.'),
  RECONCILE_INTERVAL: duration
    .default(30_000)
    .describe('How often the worker looks for unfinished work and checks the chains.'),
  RETENTION_INTERVAL: duration
    .default(3_600_000)
    .describe('How often the worker erases the entries that are older than their log keeps them.'),
  ...evmVariables,
  ...otsVariables,
  ...authorityVariables,
  ...ownCalendarVariables,
  ...ownAuthorityVariables,
  ...operationVariables,
  ...witnessVariables,
  ...archiveVariables,
  LOG_LEVEL: z
    .enum(LOG_LEVELS, `not a level: ${LOG_LEVELS.join(', ')}`)
    .default('info')
    .describe('The least important level that is logged, as JSON lines on standard output.'),
});

type Environment = z.output<typeof environment>;

export interface Config {
  readonly roles: readonly ('api' | 'worker')[];
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Where a process without the API answers probes and scrapes; 0: any free one; null: nowhere. */
  readonly healthPort: number | null;
  /** Whether no API key is needed. The port must then be on loopback. */
  readonly open: boolean;
  readonly origin: string;
  readonly databaseUrl: string;
  /** A replica to read from; null: there is none. */
  readonly databaseReadUrl: string | null;
  /** Of the process's own pool. */
  readonly databaseConnections: number;
  /** Of the pool that appends have to themselves. */
  readonly appendConnections: number;
  readonly redisUrl: string | null;
  readonly logSeedFile: string;
  /** The file that records what was published; null: Redis does, if there is one. */
  readonly guardFile: string | null;
  /** Milliseconds. */
  readonly roundInterval: number;
  /** Appended entries that close a round early. */
  readonly roundEntries: number;
  /** Milliseconds; null: no round without anything new. */
  readonly roundHeartbeat: number | null;
  /** Milliseconds. */
  readonly reconcileInterval: number;
  /** Milliseconds between looks for entries that are older than their log keeps them. */
  readonly retentionInterval: number;
  /** Chains with a contract that rounds are anchored to. */
  readonly targets: readonly EvmConfig[];
  /** Calendars that rounds are stamped by; null: none. */
  readonly ots: OtsConfig | null;
  /** Timestamp authorities (RFC 3161) that stamp rounds. */
  readonly authorities: AuthoritiesFile['authorities'];
  /** Where Bitcoin's headers come from. */
  readonly bitcoin: BitcoinConfig;
  /** The service as a calendar itself; null: it is none. */
  readonly calendar: OwnCalendarConfig | null;
  /** The service as a timestamp authority itself; null: it is none. */
  readonly ownAuthority: OwnAuthorityConfig | null;
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  readonly operation: OperationConfig;
  /** Witnesses that cosign checkpoints; null: none. */
  readonly witnesses: WitnessSettings | null;
  /** Where old entries go; null: they stay in the database alone. */
  readonly archive: ArchiveConfig | null;
  readonly logLevel: Environment['LOG_LEVEL'];
}

/**
 * Reads the settings of a service from environment variables, all of their faults in one error.
 * @throws AntequemError `config-invalid`
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(set);
  const issues = parsed.error?.issues ?? [];
  const file = set.TARGETS_FILE === undefined ? null : readTargetsFile(set.TARGETS_FILE);
  const witnesses = readWitnesses(set, parsed.data);
  const tsa = readAuthorities(set.TSA_FILE);
  const faults = new Set([
    ...issues.map((issue) => {
      const name = String(issue.path[0]);
      // The value stays out of it: some are secrets.
      return `${name}: ${set[name] === undefined ? 'must be set' : issue.message}`;
    }),
    ...evmFaults(set),
    ...otsFaults(set, parsed.data),
    ...ownCalendarFaults(set),
    ...ownAuthorityFaults(set),
    ...archiveFaults(set),
    ...(file?.faults ?? []),
    ...witnesses.faults,
    ...tsa.faults,
  ]);
  if (!parsed.success || faults.size > 0) {
    throw new AntequemError(
      'config-invalid',
      `the configuration has ${faults.size} ${faults.size === 1 ? 'fault' : 'faults'}:\n  ${[...faults, ...mistypedSettings(set)].join('\n  ')}`,
    );
  }
  const { data } = parsed;
  return {
    roles: data.ROLES,
    host: data.HOST,
    port: data.PORT,
    healthPort: data.HEALTH_PORT ?? null,
    open: false,
    origin: data.ORIGIN,
    databaseUrl: data.DATABASE_URL,
    databaseReadUrl: data.DATABASE_READ_URL ?? null,
    databaseConnections: data.DATABASE_CONNECTIONS,
    appendConnections: data.DATABASE_APPEND_CONNECTIONS,
    redisUrl: data.REDIS_URL ?? null,
    logSeedFile: data.LOG_SEED_FILE,
    guardFile: data.LOG_GUARD_FILE ?? null,
    roundInterval: data.ROUND_INTERVAL,
    roundEntries: data.ROUND_ENTRIES,
    roundHeartbeat: data.ROUND_HEARTBEAT ?? null,
    reconcileInterval: data.RECONCILE_INTERVAL,
    retentionInterval: data.RETENTION_INTERVAL,
    targets: file?.targets ?? targetOfVariables(data),
    ots: otsOf(data),
    authorities: tsa.authorities,
    bitcoin: bitcoinOf(data),
    calendar: ownCalendarOf(data),
    ownAuthority: ownAuthorityOf(data),
    trustedProxies: data.TRUSTED_PROXIES,
    operation: operationOf(data),
    witnesses: witnesses.settings,
    archive: archiveOf(data),
    logLevel: data.LOG_LEVEL,
  };
}

/** A sentence for each variable that looks like a setting and is none. */
export function mistypedSettings(env: Readonly<Record<string, string | undefined>>): string[] {
  return unknownSettings(Object.keys(env), Object.keys(environment.shape));
}

/** Whether a host name or address is this machine's own loopback. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
