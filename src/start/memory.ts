// What has a process of the service take less memory, and less time to tidy it up. Most has to be known before the process begins.

import { setFlagsFromString } from 'node:v8';

/** New objects have 48 MB instead of 96: below that single appends cost more. */
export const SERVICE_FLAGS: readonly string[] = ['--max-semi-space-size=16'];

/**
 * Of glibc: threads share what was given back, and large buffers return to the system at once instead of staying in its heaps.
 * Chunks of a body, 64 kB each, are smaller: to map each of them costs a batch a twentieth.
 */
export const SERVICE_MEMORY: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_MMAP_THRESHOLD_: '131072',
};

const SIZE_OF_NEW = /--(max|min)[-_]semi[-_]space[-_]size/;

/**
 * Begins this process anew, as the same process for who started it, unless it has the flags already or whoever started it chose
 * others. What was opened so far is closed, except for standard input and output. Does nothing on Windows.
 */
export function beginWithServiceMemory(): void {
  const { env, execArgv, execPath, argv } = process;
  if ([...execArgv, env.NODE_OPTIONS ?? ''].some((flag) => SIZE_OF_NEW.test(flag))) return;
  process.execve?.(execPath, [execPath, ...execArgv, ...SERVICE_FLAGS, ...argv.slice(1)], {
    ...SERVICE_MEMORY,
    ...env,
  });
}

/**
 * Has each thread collect its new objects by itself: to share that work among threads costs appends 3 to 5 % of their rate, where
 * cores are few and what survives is little.
 */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge');
}
