import { setPriority } from 'node:os';

/** Whoever appends goes first. */
const NICE = 10;

/**
 * What the calling thread does, and threads that it starts, can wait for others. Elsewhere than on Linux a priority is that of
 * the whole process.
 */
export function yieldToOthers(): void {
  if (process.platform === 'linux') setPriority(NICE);
}
