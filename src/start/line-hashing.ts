import { type LineHashing, LineHashingThread } from '../api/line-hashing.ts';
import type { Effects } from '../log/log.ts';

// A package has it compiled.
const FILE = `./hashing-thread.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`;

/** Hashes the lines of large bodies. */
export function openLineHashing({ random }: Pick<Effects, 'random'>): LineHashing {
  return new LineHashingThread({ file: new URL(FILE, import.meta.url), random, clock: () => performance.now() });
}
