import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const started = z.object({ url: z.string().nullable() });
const memory = z.object({ rss: z.number() });
const delay = z.object({ delay: z.number() });
const heap = z.object({ heap: z.number() });

/** A service in a process of its own. */
export interface ServiceChild {
  /** Null: it has no API. */
  readonly url: string | null;
  /** Settles when it has ended. */
  readonly ended: Promise<void>;
  /** Bytes. */
  memory(): Promise<number>;
  /** Bytes of its heap that are in use after a collection: what grows here leaks. */
  heap(): Promise<number>;
  /** Milliseconds that its event loop was held at the most since this was last asked. */
  delay(): Promise<number>;
  /** As by `kill -9`. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param outer the environment of the process itself
 * @throws where it ended instead of starting
 */
export async function startServiceChild(
  environment: Readonly<Record<string, string>>,
  outer: Readonly<Record<string, string>> = {},
): Promise<ServiceChild> {
  const child = launch(environment, outer);
  const ended = once(child, 'exit').then(() => {});
  const { url } = started.parse(await message(child));
  return {
    url,
    ended,
    memory: async () => {
      const answer = message(child);
      child.send('memory');
      return memory.parse(await answer).rss;
    },
    heap: async () => {
      const answer = message(child);
      child.send('heap');
      return heap.parse(await answer).heap;
    },
    delay: async () => {
      const answer = message(child);
      child.send('delay');
      return delay.parse(await answer).delay;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    stop: async () => {
      if (child.connected) child.send('stop');
      await ended;
    },
  };
}

/** Starts one and kills it after so many milliseconds, most likely amid its start. */
export async function killEarly(environment: Readonly<Record<string, string>>, ms: number): Promise<void> {
  const child = launch(environment);
  const ended = once(child, 'exit');
  await sleep(ms);
  child.kill('SIGKILL');
  await ended;
}

function launch(
  environment: Readonly<Record<string, string>>,
  outer: Readonly<Record<string, string>> = {},
): ChildProcess {
  return fork(new URL('service-process.ts', import.meta.url), [JSON.stringify(environment)], {
    // A start takes half the time; there are many.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), ...outer },
  });
}

/** The next thing that a child says. @throws where it ends before */
export function message(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('the process ended'));
    child.once('exit', gone);
    child.once('message', (said) => {
      child.off('exit', gone);
      resolve(said);
    });
  });
}
