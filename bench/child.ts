import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { z } from 'zod';

const started = z.object({ url: z.string() });
const usage = z.object({ maxRss: z.number(), cpu: z.number() });

export interface BenchChild extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** The most memory the process has had so far, in bytes, and the time of a core that it took, in milliseconds. */
  usage(): Promise<{ maxRss: number; cpu: number }>;
}

const memory = z.object({ SERVICE_FLAGS: z.array(z.string()), SERVICE_MEMORY: z.record(z.string(), z.string()) });

/** What the service of a checkout begins with: releases before took what Node gives. */
async function memoryOf(file: URL): Promise<z.infer<typeof memory>> {
  for (const root of ['..', '../../..']) {
    const settings = new URL(`${root}/src/start/memory.ts`, file);
    if (existsSync(settings)) return memory.parse(await import(settings.href));
  }
  return { SERVICE_FLAGS: [], SERVICE_MEMORY: {} };
}

/** Starts a process of bench/ that tells its URL, with as much memory as `antequem serve` of its checkout takes for itself. */
export async function startChild(file: string, ...args: string[]): Promise<BenchChild> {
  const url = new URL(file, import.meta.url);
  const { SERVICE_FLAGS, SERVICE_MEMORY } = await memoryOf(url);
  const child = fork(url, args, {
    execArgv: [...process.execArgv, ...SERVICE_FLAGS],
    env: { ...SERVICE_MEMORY, ...process.env },
  });
  const message = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error(`${file} ended`));
      child.once('exit', gone);
      child.once('message', (said) => {
        child.off('exit', gone);
        resolve(said);
      });
    });
  const { url: origin } = started.parse(await message());
  return {
    url: origin,
    pid: child.pid ?? 0,
    usage: async () => {
      const answer = message();
      child.send('usage');
      return usage.parse(await answer);
    },
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.send('stop');
      await ended;
    },
  };
}
