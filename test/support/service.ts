import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DestinationStream, pino } from 'pino';
import type { Scope } from '../../src/access/keys.ts';
import { closeRound, type Round } from '../../src/anchor/rounds.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { serve } from '../../src/main.ts';
import type { Outside } from '../../src/sources/scheme.ts';
import { type Foundation, openFoundation, realEffects } from '../../src/start/foundation.ts';
import { testDatabase } from './postgres.ts';

export interface ServiceOptions {
  /** False: API keys are asked for. */
  readonly open?: boolean;
  /** What stands between the service and its database: makes of the database's URL the one that the service gets. */
  readonly via?: (databaseUrl: string) => string;
  readonly config?: Partial<Config>;
  /** Milliseconds that the service's clock is ahead. */
  readonly ahead?: () => number;
  /** What senders of sources are asked by. Default: the network. */
  readonly outside?: Outside;
}

export interface TestService extends AsyncDisposable {
  readonly url: string;
  readonly config: Config;
  readonly origin: string;
  /** The parts below the API, on the same database, as another process would have them. */
  readonly foundation: Foundation;
  /** All that was logged, as text. */
  logged(): string;
  /** A request to the service; the token, if any, is sent as a Bearer one. */
  send(method: string, path: string, options?: SendOptions): Promise<Answer>;
  /** Makes an API key. */
  key(scopes: readonly Scope[], logs?: readonly string[] | null): Promise<{ id: string; token: string }>;
  closeRound(): Promise<Round | null>;
  stop(): Promise<void>;
}

export interface SendOptions {
  readonly body?: Uint8Array | string | object;
  readonly headers?: Record<string, string>;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly text: string;
  /** Of a JSON answer, null where it is none. */
  readonly json: unknown;
  /** What stands at a place of the JSON, undefined where there is no such place. */
  at(...path: (string | number)[]): unknown;
  /** The `code` of a problem, null where the answer is none. */
  readonly code: string | null;
}

/** The configuration of a service on loopback with a database and nothing else. */
export async function testConfig(databaseUrl: string, folder: string, config: Partial<Config> = {}): Promise<Config> {
  const LOG_SEED_FILE = join(folder, 'seed');
  await writeFile(LOG_SEED_FILE, randomBytes(32).toString('hex'));
  const read = readConfig({ DATABASE_URL: databaseUrl, ORIGIN: 'log.test', LOG_SEED_FILE, PORT: '0', ROLES: 'api' });
  return { ...read, ...config };
}

/** The real service in this process, on a free port of loopback; `await using` ends it. */
export async function testService(options: ServiceOptions = {}): Promise<TestService> {
  const database = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'antequem-service-'));
  const open = options.open ?? true;
  const config = await testConfig(options.via?.(database.url) ?? database.url, folder, { open, ...options.config });
  const lines: string[] = [];
  const sink: DestinationStream = { write: (line) => void lines.push(line) };
  const running = await serve(config, pino({ level: 'trace' }, sink), {
    effects: { ...realEffects, now: () => Date.now() + (options.ahead?.() ?? 0) },
    ...(options.outside === undefined ? {} : { outside: options.outside }),
  });
  const url = running.url ?? '';
  // Past whatever stands between the service and its database.
  const foundation = await openFoundation({ ...config, databaseUrl: database.url }, realEffects);
  const { registry, appender } = foundation;
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= running.stop();
    return stopped;
  };
  return {
    url,
    config,
    origin: config.origin,
    foundation,
    logged: () => lines.join(''),
    send: (method, path, sending) => send(url, method, path, sending),
    key: async (scopes, logs = null) => {
      const { key, token } = await foundation.keys.create('test', scopes, logs);
      return { id: key.id, token };
    },
    closeRound: () =>
      closeRound({
        database: foundation.database,
        registry,
        sequencing: appender.sequencing,
        beacons: async () => [],
        heartbeat: null,
      }),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await foundation.close();
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}

async function send(url: string, method: string, path: string, options: SendOptions = {}): Promise<Answer> {
  const { body, headers = {}, token, signal } = options;
  const json = typeof body === 'object' && !(body instanceof Uint8Array);
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(json ? { 'content-type': 'application/json' } : {}),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: json ? JSON.stringify(body) : toBody(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const text = bytes.toString();
  const parsed: unknown =
    /[/+]json/.test(response.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : null;
  const problem = response.headers.get('content-type')?.startsWith('application/problem+json') ?? false;
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    text,
    json: parsed,
    at: (...path) => path.reduce(fieldOf, parsed),
    code: problem ? codeOf(parsed) : null,
  };
}

function toBody(body: unknown): string | Uint8Array<ArrayBuffer> {
  return body instanceof Uint8Array ? new Uint8Array(body) : String(body);
}

function fieldOf(value: unknown, name: string | number): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === String(name))?.[1]
    : undefined;
}

function codeOf(problem: unknown): string | null {
  return typeof problem === 'object' && problem !== null && 'code' in problem ? String(problem.code) : null;
}
