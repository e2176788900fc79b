import { fork } from 'node:child_process';
import { z } from 'zod';
import { SERVICE_FLAGS, SERVICE_MEMORY } from '../src/start/memory.ts';

const started = z.object({ url: z.string() });
const usage = z.object({ maxRss: z.number(), cpu: z.number() });

export interface BenchChild extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** The most memory the process has had so far, in bytes, and the time of a core that it took, in milliseconds. */
  usage(): Promise<{ maxRss: number; cpu: number }>;
}

/** Starts a process of bench/ that tells its URL, with as much memory as `antequem serve` takes for itself. */
export async function startChild(file: string, ...args: string[]): Promise<BenchChild> {
  const child = fork(new URL(file, import.meta.url), args, {
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
  const { url } = started.parse(await message());
  return {
    url,
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
