// Services whose clocks a test sets while they run: by libfaketime where it is installed, else by a Date of its own.

import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { SENDER_KEY } from './anchoring.ts';
import { type TestChain, testChain } from './chain.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';
import { type TestRedis, testRedis } from './redis.ts';
import { type ServiceChild, startServiceChild } from './service-child.ts';

const LIBRARY = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;
const SHIFTED = new URL('shifted-clock.mjs', import.meta.url).href;

/** A machine with a clock of its own, that of the database aside. */
export class ClockHost {
  readonly #folder: string;
  readonly #name: string;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  /** @param seconds that the clock is ahead */
  async set(seconds: number): Promise<void> {
    const file = join(this.#folder, this.#name);
    await writeFile(`${file}.new`, existsSync(LIBRARY) ? `+${seconds}`.replace('+-', '-') : `${seconds}`);
    // Never read half written.
    await rename(`${file}.new`, file);
  }

  /** For the environment of a process. */
  get environment(): Record<string, string> {
    const file = join(this.#folder, this.#name);
    return existsSync(LIBRARY)
      ? {
          LD_PRELOAD: LIBRARY,
          FAKETIME_TIMESTAMP_FILE: file,
          FAKETIME_NO_CACHE: '1',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        }
      : { NODE_OPTIONS: `--import ${SHIFTED}`, SHIFT_FILE: file };
  }
}

/** A database whose clock can be set, a chain whose clock is right, and services on hosts. */
export class ClockGround implements AsyncDisposable {
  readonly chain: TestChain;
  /** Seconds between two looks whether a round is due. */
  readonly period = 2;
  readonly #database: TestDatabase;
  readonly #redis: TestRedis | null;
  readonly #folder: string;
  readonly #sql: pg.Client;
  readonly #children: ServiceChild[] = [];

  private constructor(
    parts: { chain: TestChain; database: TestDatabase; redis: TestRedis | null; folder: string },
    sql: pg.Client,
  ) {
    this.chain = parts.chain;
    this.#database = parts.database;
    this.#redis = parts.redis;
    this.#folder = parts.folder;
    this.#sql = sql;
  }

  static async open(on: 'PostgreSQL' | 'Redis'): Promise<ClockGround> {
    const [chain, database, folder] = await Promise.all([
      testChain(),
      testDatabase(),
      mkdtemp(join(tmpdir(), 'antequem-clocks-')),
    ]);
    const redis = on === 'Redis' ? await testRedis() : null;
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    await Promise.all([writeFile(join(folder, 'seed'), '07'.repeat(32)), writeFile(join(folder, 'key'), SENDER_KEY)]);
    const sql = new pg.Client({ connectionString: database.url });
    await sql.connect();
    // Found before the server's own: what asks for the time gets it with the difference.
    await sql.query(`
      CREATE TABLE clock_off (seconds double precision NOT NULL);
      INSERT INTO clock_off VALUES (0);
      CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT pg_catalog.clock_timestamp() + make_interval(secs => (SELECT seconds FROM public.clock_off))'`);
    await sql.query(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$",
    );
    return new ClockGround({ chain, database, redis, folder }, sql);
  }

  async host(name: string, seconds = 0): Promise<ClockHost> {
    const host = new ClockHost(this.#folder, name);
    await host.set(seconds);
    return host;
  }

  /** @param seconds that the clock of the database is ahead */
  async setDatabase(seconds: number): Promise<void> {
    await this.#sql.query('UPDATE clock_off SET seconds = $1', [seconds]);
  }

  async query<T extends pg.QueryResultRow>(text: string): Promise<T[]> {
    return (await this.#sql.query<T>(text)).rows;
  }

  /** Starts a process of the service on a host. */
  async start(
    host: ClockHost,
    roles: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<ClockedService> {
    const environment = {
      DATABASE_URL: this.#database.url,
      ...(this.#redis === null ? {} : { REDIS_URL: this.#redis.url }),
      ORIGIN: 'log.test',
      LOG_SEED_FILE: join(this.#folder, 'seed'),
      PORT: '0',
      ROLES: roles,
      ROUND_INTERVAL: `${this.period}s`,
      RECONCILE_INTERVAL: '2s',
      EVM_RPC_URLS: this.chain.url,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: join(this.#folder, 'key'),
      LOG_LEVEL: 'silent',
      ...settings,
    };
    const child = await startServiceChild(environment, host.environment);
    this.#children.push(child);
    return new ClockedService(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()));
    await this.#sql.end();
    await this.chain[Symbol.asyncDispose]();
    await this.#redis?.stop();
    await this.#database.drop();
    await rm(this.#folder, { recursive: true });
  }
}

export class ClockedService {
  readonly #child: ServiceChild;

  constructor(child: ServiceChild) {
    this.#child = child;
  }

  async fetch(path: string, options: RequestInit = {}): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.#child.url}${path}`, options);
    return { status: response.status, text: await response.text() };
  }

  /** @returns the status */
  async append(log: string, text: string): Promise<number> {
    return (await this.fetch(`/v1/logs/${log}/entries`, { method: 'POST', body: text })).status;
  }

  async newestRound(): Promise<number> {
    const { text } = await this.fetch('/v1/rounds?limit=1');
    return Number(/"number":(\d+)/.exec(text)?.[1] ?? 0);
  }

  /** Notices of /readyz, or its refusal. */
  async told(): Promise<string> {
    return (await this.fetch('/readyz')).text;
  }

  async metric(name: string): Promise<number[]> {
    const { text } = await this.fetch('/metrics');
    return [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) => Number(value));
  }

  kill(): Promise<void> {
    return this.#child.kill();
  }
}
