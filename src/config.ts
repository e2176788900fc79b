import { z } from 'zod';
import { AntequemError } from './core/errors.ts';
import { checkServiceOrigin } from './core/origin.ts';

/** What a timer can wait for. */
const MAX_DURATION = 2 ** 31 - 1;
const UNITS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** A duration such as `500ms`, `30s`, `10m`, `24h`, as milliseconds. */
const duration = z
  .string()
  .regex(/^\d{1,10}(ms|s|m|h)$/, { error: 'not a duration: write 500ms, 30s, 10m or 24h', abort: true })
  .transform((text) => Number.parseInt(text, 10) * (UNITS.get(text.replace(/^\d+/, '')) ?? 0))
  .refine((ms) => ms >= 1 && ms <= MAX_DURATION, 'not from 1ms to 596h');

/** Digits and nothing else: what JavaScript makes of white space or 0x10 is nobody's port. */
const wholeNumber = (least: number, most: number, what: string) =>
  z
    .string()
    .regex(/^\d{1,16}$/, { error: what, abort: true })
    .transform(Number)
    .refine((value) => value >= least && value <= most, what);
const port = wholeNumber(0, 65_535, 'not a port: 0 to 65535, 0 for any free one');
const count = wholeNumber(1, Number.MAX_SAFE_INTEGER, 'not a whole number from 1 on');
const url = (...schemes: string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && schemes.includes(new URL(text).protocol.slice(0, -1)),
      `not a URL with ${schemes.join(':// or ')}://`,
    );
const list = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
const origin = z.string().refine((text) => {
  try {
    checkServiceOrigin(text);
    return true;
  } catch {
    return false;
  }
}, 'not a service origin: a host name in lower case without a scheme, such as log.example.org');

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Every setting, by the name of its environment variable. */
const environment = z.object({
  ROLES: z
    .string()
    .default('api,worker')
    .transform(list)
    .pipe(
      z.array(z.enum(['api', 'worker'], 'not a list of roles: api, worker')).min(1, 'not a list of roles: api, worker'),
    ),
  HOST: z.string().default('127.0.0.1'),
  PORT: port.default(3963),
  ORIGIN: origin,
  // Not a URL by the book: over a Unix socket it has no host.
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'not a URL with postgres://'),
  REDIS_URL: url('redis', 'rediss').optional(),
  LOG_SEED_FILE: z.string().min(1),
  ROUND_INTERVAL: duration.default(60_000),
  ROUND_ENTRIES: count.default(100_000),
  ROUND_HEARTBEAT: duration.optional(),
  RECONCILE_INTERVAL: duration.default(30_000),
  EVM_RPC_URLS: z
    .string()
    .transform(list)
    .pipe(z.array(url('http', 'https')).min(1, 'not a list of URLs with http:// or https://'))
    .optional(),
  EVM_CHAIN_ID: wholeNumber(1, Number.MAX_SAFE_INTEGER, 'not a chain id: a whole number from 1 on').optional(),
  EVM_CONTRACT: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/, 'not an address: 0x and 40 hex digits')
    .optional(),
  EVM_MODE: z.enum(['anchor', 'announce'], 'not a mode: anchor or announce').default('anchor'),
  EVM_PRIVATE_KEY_FILE: z.string().min(1).optional(),
  EVM_CONFIRMATIONS: count.optional(),
  EVM_MAX_FEE_GWEI: z
    .string()
    .regex(/^\d{1,9}(\.\d{1,9})?$/, { error: 'not a fee in gwei, such as 30 or 0.05', abort: true })
    .transform(Number)
    .refine((fee) => fee > 0, 'must be above 0')
    .default(100),
  LOG_LEVEL: z.enum(LOG_LEVELS, `not a level: ${LOG_LEVELS.join(', ')}`).default('info'),
});

type Environment = z.output<typeof environment>;

export interface EvmConfig {
  readonly rpcUrls: readonly string[];
  readonly chainId: number;
  /** Null: the address the contract has on every chain. */
  readonly contract: string | null;
  readonly mode: 'anchor' | 'announce';
  readonly keyFile: string;
  /** Blocks on top that make final; null: the chain's own `finalized`. */
  readonly confirmations: number | null;
  readonly maxFeeGwei: number;
  /** Whether the chain may be started anew, its blocks gone: a development chain. */
  readonly ephemeral: boolean;
}

export interface Config {
  readonly roles: readonly ('api' | 'worker')[];
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Whether everything is open to whoever reaches the port, which must then be on loopback. */
  readonly open: boolean;
  readonly origin: string;
  readonly databaseUrl: string;
  readonly redisUrl: string | null;
  readonly logSeedFile: string;
  /** Milliseconds. */
  readonly roundInterval: number;
  /** Appended entries that close a round ahead of its time. */
  readonly roundEntries: number;
  /** Milliseconds; null: no round without anything new. */
  readonly roundHeartbeat: number | null;
  /** Milliseconds. */
  readonly reconcileInterval: number;
  readonly evm: EvmConfig | null;
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
  const faults = new Set([
    ...issues.map((issue) => {
      const name = String(issue.path[0]);
      // The value stays out of it: some are secrets.
      return `${name}: ${set[name] === undefined ? 'must be set' : issue.message}`;
    }),
    ...evmFaults(set),
  ]);
  if (!parsed.success || faults.size > 0) {
    throw new AntequemError(
      'config-invalid',
      `the configuration has ${faults.size} fault(s):\n  ${[...faults].join('\n  ')}`,
    );
  }
  const { data } = parsed;
  return {
    roles: data.ROLES,
    host: data.HOST,
    port: data.PORT,
    open: false,
    origin: data.ORIGIN,
    databaseUrl: data.DATABASE_URL,
    redisUrl: data.REDIS_URL ?? null,
    logSeedFile: data.LOG_SEED_FILE,
    roundInterval: data.ROUND_INTERVAL,
    roundEntries: data.ROUND_ENTRIES,
    roundHeartbeat: data.ROUND_HEARTBEAT ?? null,
    reconcileInterval: data.RECONCILE_INTERVAL,
    evm: evmConfig(data),
    logLevel: data.LOG_LEVEL,
  };
}

/** Settings that only make sense together. */
function evmFaults(set: Readonly<Record<string, string | undefined>>): string[] {
  const faults: string[] = [];
  if (set.EVM_RPC_URLS === undefined) {
    // Half a target would be none, and nobody would notice that nothing is anchored.
    const lone = ['EVM_CHAIN_ID', 'EVM_CONTRACT', 'EVM_PRIVATE_KEY_FILE'].filter((name) => set[name] !== undefined);
    if (lone.length > 0) faults.push(`EVM_RPC_URLS: must be set beside ${lone.join(', ')}`);
    return faults;
  }
  if (set.EVM_CHAIN_ID === undefined) {
    faults.push('EVM_CHAIN_ID: must be set beside EVM_RPC_URLS; no other chain is ever used');
  }
  if (set.EVM_PRIVATE_KEY_FILE === undefined && (set.ROLES === undefined || list(set.ROLES).includes('worker'))) {
    faults.push('EVM_PRIVATE_KEY_FILE: must be set beside EVM_RPC_URLS where a worker runs');
  }
  return faults;
}

function evmConfig(data: Environment): EvmConfig | null {
  if (data.EVM_RPC_URLS === undefined || data.EVM_CHAIN_ID === undefined) return null;
  return {
    rpcUrls: data.EVM_RPC_URLS,
    chainId: data.EVM_CHAIN_ID,
    contract: data.EVM_CONTRACT ?? null,
    mode: data.EVM_MODE,
    keyFile: data.EVM_PRIVATE_KEY_FILE ?? '',
    confirmations: data.EVM_CONFIRMATIONS ?? null,
    maxFeeGwei: data.EVM_MAX_FEE_GWEI,
    ephemeral: false,
  };
}

/** Whether a host name or address is this machine's own loopback. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
