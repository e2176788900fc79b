// Processes of the service over one database, clients that append through them, and somebody who kills them.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { SENDER_KEY } from './anchoring.ts';
import { type TestChain, testChain } from './chain.ts';
import { ORIGIN } from './instance.ts';
import { killEarly, type ServiceChild, startServiceChild } from './service-child.ts';

export interface FleetOptions {
  readonly databaseUrl: string;
  readonly redisUrl?: string;
  /** Whether what is published is recorded in a file; else in Redis. */
  readonly guardFile: boolean;
  /** One process each. */
  readonly roles: readonly string[];
  readonly clients: number;
  /** Names of the logs the clients append to. */
  readonly logs: readonly string[];
  /** Of each entry, about. Default 20. */
  readonly entryBytes?: number;
  /** Whether the clients erase some of what they appended. */
  readonly erases?: boolean;
  /** So many clients besides send large batches without a key to one process, as long as it lives. Default 0. */
  readonly batches?: number;
}

/** Its name is not among those of the options. */
const BATCH_LOG = 'batches';

/** What a client was told. */
export interface Told {
  readonly log: string;
  readonly index: number;
  /** Null once erased. */
  readonly texts: (string | null)[];
}

const answer = z.object({ index: z.int(), count: z.int() });
const ready = z.object({ status: z.literal('ready') });

export class Fleet {
  readonly told: Told[] = [];
  /** Batches without an answer: appended or not. */
  readonly unanswered: Omit<Told, 'index'>[] = [];
  readonly chain: TestChain;
  /** Starts, kills and sendings that had to be repeated. */
  readonly counts = { starts: 0, kills: 0, again: 0, erased: 0 };
  /** What was answered instead, by status or the name of the error. */
  readonly refusals = new Map<string, number>();
  readonly guardFile: string;
  readonly #options: FleetOptions;
  readonly #folder: string;
  readonly #slots: (ServiceChild | null)[];
  #over = false;
  #clients: Promise<void>[] = [];
  #next = 0;

  private constructor(options: FleetOptions, folder: string, chain: TestChain) {
    this.#options = options;
    this.#folder = folder;
    this.chain = chain;
    this.#slots = options.roles.map(() => null);
    this.guardFile = join(folder, 'published');
  }

  /** With all its processes running and its logs made. */
  static async open(options: FleetOptions): Promise<Fleet> {
    const [chain, folder] = await Promise.all([testChain(), mkdtemp(join(tmpdir(), 'antequem-fleet-'))]);
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    await Promise.all([writeFile(join(folder, 'seed'), '07'.repeat(32)), writeFile(join(folder, 'key'), SENDER_KEY)]);
    const fleet = new Fleet(options, folder, chain);
    await Promise.all(options.roles.map((_, slot) => fleet.start(slot)));
    const logs = [...options.logs, ...(options.batches === undefined ? [] : [BATCH_LOG])];
    for (const log of logs) await fetch(`${fleet.#anyUrl()}/v1/logs/${log}`, { method: 'PUT' });
    return fleet;
  }

  async start(slot: number): Promise<void> {
    this.counts.starts++;
    this.#slots[slot] = await startServiceChild(this.#environment(this.#options.roles[slot] ?? 'api,worker'));
  }

  /** Kills a process and starts it again; `early`: amid its start, once more. */
  async replace(slot: number, early: boolean): Promise<void> {
    const child = this.#slots[slot];
    this.#slots[slot] = null;
    this.counts.kills++;
    await child?.kill();
    if (early) {
      this.counts.starts++;
      this.counts.kills++;
      await killEarly(this.#environment(this.#options.roles[slot] ?? 'api,worker'), 300 + Math.random() * 700);
    }
    await this.start(slot);
  }

  /** Clients append until `settle`. */
  load(): void {
    const { clients, batches = 0 } = this.#options;
    this.#clients = [
      ...Array.from({ length: clients }, () => this.#client()),
      ...Array.from({ length: batches }, () => this.#batchClient()),
    ];
  }

  /** Ends the clients, each once its last request was answered. */
  async settle(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#clients);
  }

  async close(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#slots.map((child) => child?.kill()));
    await this.chain[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #client(): Promise<void> {
    const { logs } = this.#options;
    while (!this.#over) {
      const number = this.#next++;
      const log = logs[number % logs.length] ?? '';
      const padding = randomBytes((this.#options.entryBytes ?? 20) / 2).toString('hex');
      const texts = Array.from({ length: 1 + (number % 7) }, (_, i) => `entry ${number}/${i} ${padding}`);
      const told: Told = { log, texts, index: await this.#append(log, texts, `key-${number}`) };
      this.told.push(told);
      if (this.#options.erases === true && number % 4 === 0) await this.#erase(told, number % texts.length);
    }
  }

  async #batchClient(): Promise<void> {
    while (!this.#over) {
      const number = this.#next++;
      const texts = Array.from({ length: 200 + (number % 500) }, (_, i) => `entry ${number}/${i}`);
      const url = this.#slots.find((child) => child?.url != null)?.url ?? null;
      try {
        const path = `${url}/v1/logs/${BATCH_LOG}/entries?split=lines`;
        const init = { method: 'POST', body: texts.join('\n'), signal: AbortSignal.timeout(20_000) };
        const response = await fetch(path, init);
        if (!response.ok) throw new Error(String(response.status));
        const { index } = answer.parse(await response.json());
        this.told.push({ log: BATCH_LOG, texts, index });
      } catch {
        // Without a key it is not sent again.
        if (url !== null) this.unanswered.push({ log: BATCH_LOG, texts });
        await sleep(20);
      }
    }
  }

  async #append(log: string, texts: readonly string[], key: string): Promise<number> {
    const init = { method: 'POST', headers: { 'idempotency-key': key }, body: texts.join('\n') };
    return answer.parse(await this.#answer(`/v1/logs/${log}/entries?split=lines`, init)).index;
  }

  async #erase({ log, index, texts }: Told, which: number): Promise<void> {
    await this.#answer(`/v1/logs/${log}/entries/${index + which}/payload`, { method: 'DELETE' });
    texts[which] = null;
    this.counts.erased++;
  }

  /** As a client should: the same request until there is an answer. */
  async #answer(path: string, init: RequestInit): Promise<unknown> {
    for (;;) {
      const url = this.#anyUrl();
      if (url === null) {
        await sleep(20);
        continue;
      }
      try {
        const response = await fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(20_000) });
        const body: unknown = await response.json();
        if (response.ok) return body;
        this.#refused(String(response.status));
        // Whatever is not to pass by itself would be an error of the service.
        if (response.status !== 503 && response.status !== 409)
          throw new Fault(`${response.status} ${JSON.stringify(body)}`);
      } catch (error) {
        if (error instanceof Fault) throw error;
        this.#refused(error instanceof Error ? error.name : 'unknown');
      }
      this.counts.again++;
      await sleep(20 + Math.random() * 60);
    }
  }

  #refused(why: string): void {
    this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
  }

  /** Of a process that has an API and was not killed. */
  #anyUrl(): string | null {
    const urls = this.#slots.flatMap((child) => (child?.url === null || child === null ? [] : [child.url]));
    return urls[Math.floor(Math.random() * urls.length)] ?? null;
  }

  /** Whether a process says that it is ready. */
  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.#anyUrl()}/readyz`);
      return ready.safeParse(await response.json()).success;
    } catch {
      return false;
    }
  }

  #environment(roles: string): Record<string, string> {
    const { databaseUrl, redisUrl, guardFile } = this.#options;
    return {
      DATABASE_URL: databaseUrl,
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
      ...(guardFile ? { LOG_GUARD_FILE: this.guardFile } : {}),
      ORIGIN,
      LOG_SEED_FILE: join(this.#folder, 'seed'),
      PORT: '0',
      ROLES: roles,
      ROUND_INTERVAL: '300ms',
      RECONCILE_INTERVAL: '1s',
      EVM_RPC_URLS: this.chain.url,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: join(this.#folder, 'key'),
      LOG_LEVEL: 'silent',
    };
  }
}

class Fault extends Error {}
