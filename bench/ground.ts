import { mkdtempSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../scripts/local/postgres.ts';
import { migrate } from '../src/store/migrate.ts';

/** What a bench ran on, in a line. */
export function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  const model = cpus()[0]?.model ?? 'unknown';
  return `${model}, ${availableParallelism()} cores, ${memory} GiB, Node ${process.version}, PostgreSQL with fsync on`;
}

/** Runs work on a database of its own, removed afterwards. */
export async function withDatabase(work: (url: string) => Promise<void>): Promise<void> {
  const server = await startPostgres({ dataDir: mkdtempSync(join(tmpdir(), 'antequem-bench-')), disposable: true });
  try {
    await migrate(server.url);
    await work(server.url);
  } finally {
    await server.stop();
  }
}

export const perSecond = (rate: number): string => `${Math.round(rate).toLocaleString('en').padStart(9)}/s`;
export const percent = (ratio: number): string => `${(ratio * 100).toFixed(0).padStart(3)} %`;

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
