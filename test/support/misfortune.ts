// A service in a process of its own whose database or Redis meets a misfortune: what it answers, how ready it says it is,
// and whether everything that it ever answered is there at the end.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ORIGIN } from './instance.ts';
import { type ServiceChild, startServiceChild } from './service-child.ts';

const problem = z.looseObject({ code: z.string() });
const appended = z.looseObject({ index: z.int() });
const ready = z.looseObject({
  status: z.literal('ready'),
  notices: z.array(z.string()),
  checks: z.record(z.string(), z.string()),
});

export interface ReadyAnswer {
  /** `ready`, or the code of the problem. */
  readonly says: string;
  readonly notices: readonly string[];
  readonly checks: Readonly<Record<string, string>>;
}

/** The service, and what it answered to whom appended to its log `demo`. */
export class Sufferer {
  readonly folder: string;
  readonly told: { readonly index: number; readonly text: string }[] = [];
  readonly #settings: Readonly<Record<string, string>>;
  #service: ServiceChild | null = null;
  #count = 0;

  private constructor(folder: string, settings: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.#settings = settings;
  }

  /** With its log made, and an entry in it. */
  static async open(settings: Readonly<Record<string, string>>): Promise<Sufferer> {
    const folder = await mkdtemp(join(tmpdir(), 'antequem-sufferer-'));
    await writeFile(join(folder, 'seed'), '07'.repeat(32));
    const sufferer = new Sufferer(folder, settings);
    await sufferer.start();
    await fetch(`${sufferer.url}/v1/logs/demo`, { method: 'PUT' });
    await sufferer.untilAppended();
    return sufferer;
  }

  get url(): string {
    return this.#service?.url ?? '';
  }

  get environment(): Record<string, string> {
    return {
      ORIGIN,
      LOG_SEED_FILE: join(this.folder, 'seed'),
      PORT: '0',
      ROLES: 'api,worker',
      ROUND_INTERVAL: '300ms',
      RECONCILE_INTERVAL: '1s',
      ...this.#settings,
    };
  }

  async start(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#service = await startServiceChild({ ...this.environment, ...settings });
  }

  async kill(): Promise<void> {
    await this.#service?.kill();
  }

  /** `201`, or status and code of the problem. */
  async append(): Promise<string> {
    const text = `entry ${this.#count++}`;
    const response = await fetch(`${this.url}/v1/logs/demo/entries`, { method: 'POST', body: text });
    const body: unknown = await response.json();
    if (response.status !== 201) return `${response.status} ${problem.parse(body).code}`;
    this.told.push({ index: appended.parse(body).index, text });
    return '201';
  }

  /** Appends until that succeeds. @returns what was answered before, once each */
  async untilAppended(seconds = 60): Promise<string[]> {
    const answers = new Set<string>();
    for (const end = performance.now() + seconds * 1_000; ; ) {
      const answer = await this.append();
      if (answer === '201') return [...answers];
      answers.add(answer);
      if (performance.now() > end) throw new Error(`never appended: ${[...answers].join(', ')}`);
      await sleep(100);
    }
  }

  async readiness(): Promise<ReadyAnswer> {
    const response = await fetch(`${this.url}/readyz`);
    const body: unknown = await response.json();
    if (response.status !== 200) return { says: `503 ${problem.parse(body).code}`, notices: [], checks: {} };
    const { notices, checks } = ready.parse(body);
    return { says: 'ready', notices, checks };
  }

  async metric(name: string): Promise<number | null> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const value = new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm').exec(text)?.[1];
    return value === undefined ? null : Number(value);
  }

  async lastRound(): Promise<number> {
    const body: unknown = await (await fetch(`${this.url}/v1/rounds?limit=1`)).json();
    const { rounds } = z.looseObject({ rounds: z.array(z.looseObject({ number: z.int() })) }).parse(body);
    return rounds[0]?.number ?? 0;
  }

  /** How many entries were answered that are not there, byte for byte and at their index. */
  async lost(): Promise<number> {
    let lost = 0;
    for (const { index, text } of this.told) {
      const response = await fetch(`${this.url}/v1/logs/demo/entries/${index}/payload`);
      if (response.status !== 200 || (await response.text()) !== text) lost++;
    }
    return lost;
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Lines of a table whose columns are as wide as they need to be. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
