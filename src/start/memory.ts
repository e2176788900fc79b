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

/** Of V8, for a process with a heap of some 40 MB. */
const COLLECTOR: readonly string[] = [
  // Each thread collects its own new objects: to share that work costs more than it saves where little of them is left.
  '--no-parallel-scavenge',
  // By itself V8 gives such a heap 24 MB to grow by, less than it wants free before it begins to mark: it would mark all the time,
  // and a single append would cost an eighth more.
  '--heap-growing-percent=100',
];

/** Has garbage collected in a way that suits the service. May be called at any time. */
export function tuneCollector(): void {
  for (const flag of COLLECTOR) setFlagsFromString(flag);
}
