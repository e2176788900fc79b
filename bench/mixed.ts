// Reads and appends of all kinds at once, and what the service holds in memory meanwhile.

import { setTimeout as sleep } from 'node:timers/promises';
import { TILE_WIDTH, tilePath } from '../src/core/tiles.ts';
import type { BenchChild } from './child.ts';
import { residentBytes } from './processes.ts';

const SAMPLE_MS = 30_000;
const MB = 2 ** 20;
/** Readers that ask for something else each time, one after the other. */
const READERS = 6;
const EXPORTED = 20_000;

export interface Mixed {
  /** Resident memory in MB, every 30 seconds. */
  readonly resident: readonly number[];
  readonly requests: number;
  readonly failures: number;
}

/** @param digest of a random entry, in hex @param event payload number i */
export async function mixedLoad(
  service: BenchChild,
  log: string,
  entries: number,
  seconds: number,
  digest: () => string,
  event: (i: number) => string,
): Promise<Mixed> {
  const random = (below = entries): number => Math.floor(Math.random() * below);
  const tile = (): string => tilePath(random(Math.floor(entries / TILE_WIDTH)));
  const reads: readonly (() => string)[] = [
    () => `/v1${log}/entries/${random()}/receipt`,
    () => `/v1${log}/entries/${random()}/receipt`,
    () => `/v1${log}/entries/${random()}`,
    () => `/v1${log}/entries/${random()}/payload`,
    () => `/v1${log}/entries/${random()}/receipt.path`,
    () => `/v1/entries?digest=${digest()}`,
    () => `/v1${log}/proofs/consistency?from=${1 + random()}&to=${entries}`,
    () => `${log}/tile/0/${tile()}`,
    () => `${log}/tile/entries/${tile()}`,
    () => `${log}/checkpoint`,
    () => '/v1/rounds?limit=60',
    () => '/v1/logs?limit=500',
    () => '/metrics',
  ];
  const over = new AbortController();
  let requests = 0;
  let failures = 0;
  let appended = 0;
  const repeat = async (path: () => string, init: () => RequestInit = () => ({})): Promise<void> => {
    while (!over.signal.aborted) {
      const response = await fetch(service.url + path(), init());
      for await (const _ of response.body ?? []);
      requests++;
      if (!response.ok && failures++ === 0) console.error(`  ${path()}: ${response.status}`);
    }
  };
  const batch = (length: number): RequestInit => {
    const lines = Array.from({ length }, () => event(entries + appended++)).join('\n');
    return { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: lines };
  };
  const append = (): string => `/v1${log}/entries`;
  const loads = [
    ...Array.from({ length: READERS }, (_, i) => repeat(() => (reads[(requests + i) % reads.length] ?? append)())),
    repeat(append, () => batch(1_000)),
    repeat(append, () => batch(100)),
    repeat(append, () => batch(1)),
    repeat(append, () => batch(1)),
    repeat(() => `/v1${log}/entries?text=absent&from=${random()}`),
    repeat(() => {
      const from = random(entries - EXPORTED);
      return `/v1${log}/export?from=${from}&to=${from + EXPORTED}`;
    }),
  ];
  const resident: number[] = [];
  for (let at = 0; at < seconds * 1_000; at += SAMPLE_MS) {
    await sleep(SAMPLE_MS);
    resident.push(residentBytes(service.pid) / MB);
  }
  over.abort();
  await Promise.all(loads);
  return { resident, requests, failures };
}
